package admin

import "net/http"

func (w *world) conforms(*http.Request, answer) {}
