package edge

import (
	"github.com/valyala/fasthttp"

	"admitone/gateway"
)

const validateFields = 1<<fCode | 1<<fIP

// validate answers POST /v1/launches/{l}/validations. A code that cannot be
// redeemed is an answer, not an error; only what does not speak of the code is
// refused.
func (q *request) validate() error {
	if err := q.openLaunch(); err != nil {
		return err
	}
	if err := q.authorizeServer(); err != nil {
		return err
	}
	b, err := q.view(validateFields)
	if err != nil {
		return err
	}
	var ask gateway.Validate
	if ask.Address, _, err = q.counted(&b); err != nil {
		return err
	}
	if !b.given(fCode) {
		return gateway.Invalid("code", "Give a code.")
	}
	if ask.Code, err = readCode(b.value[fCode]); err != nil {
		return err
	}
	v, err := q.server.config.Store.Validate(q.server.running, q.launch.Name, ask)
	if err == nil {
		q.out = q.appendValidation(q.out[:0], &v)
		q.send(fasthttp.StatusOK)
		return nil
	}
	e := q.explain(err)
	if !e.Reason.SpeaksOfCode() {
		return e
	}
	q.outcome = string(e.Reason)
	e = q.veiled(e)
	q.out = append(append(append(q.out[:0], `{"valid":false,"reason":"`...), e.Reason...), '"')
	q.out = append(appendString(append(q.out, `,"message":`...), e.Sentence()), '}')
	q.send(fasthttp.StatusOK)
	return nil
}
