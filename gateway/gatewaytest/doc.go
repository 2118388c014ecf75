// Package gatewaytest holds what every store is measured against: Model, an
// in-memory oracle that is too simple to be wrong, and Exercise, the one
// conformance suite that runs on the model, on miniredis and on real Redis.
package gatewaytest
