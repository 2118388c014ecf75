// Package admin is the private listener: the admin API for operators and back
// ends, and what Prometheus and an orchestrator ask.
//
// routes.go shows all of it on one screen. A handler returns what it answers or
// an error; request.go turns either into JSON, once. Every call under
// /admin/v1 needs an API key of the scope that its route names.
package admin
