#!/usr/bin/env python3
"""Makes stripe.json: signatures of Stripe's scheme, by Python's hmac and not by ours.

Stripe-Signature is "t=<Unix seconds>,v1=<hex>", where v1 is HMAC-SHA256 over "<t>.<raw body>" under the endpoint's secret
(https://docs.stripe.com/webhooks/signature). The same can be made with
    printf '%s.%s' "$t" "$body" | openssl dgst -sha256 -hmac "$secret"
Run it in this directory: python3 stripe.py > stripe.json
"""
import hashlib
import hmac
import json

T = 1795262400  # 2026-11-21T12:00:00Z, when the tests happen
OLD, NEW, OTHER = "whsec_old_of_the_launch", "whsec_new_of_the_launch", "whsec_of_somebody_else"


def sign(secret, t, body):
    return hmac.new(secret.encode(), f"{t}.{body}".encode(), hashlib.sha256).hexdigest()


def event(kind, event_id, **fields):
    return json.dumps({"id": event_id, "object": "event", "type": kind, "data": {"object": fields}}, separators=(", ", ": "))


paid = event("checkout.session.completed", "evt_1", id="cs_1", payment_intent="pi_1", payment_status="paid",
             client_reference_id="Ann@x.example", amount_total=1000, currency="USD", note="Grüße – 1€")
unpaid = event("checkout.session.completed", "evt_2", id="cs_2", payment_intent="pi_2", payment_status="unpaid",
               client_reference_id="bob", amount_total=1000, currency="usd")
named = event("checkout.session.async_payment_succeeded", "evt_3", id="cs_3", payment_intent="pi_3", payment_status="paid",
              metadata={"subject": "bob"}, amount_total=2000, currency="eur")
refunded = event("charge.refunded", "evt_4", id="ch_1", payment_intent="pi_1", amount_refunded=400)
disputed = event("charge.dispute.created", "evt_5", id="dp_1", payment_intent="pi_1", status="needs_response")
won = event("charge.dispute.closed", "evt_6", id="dp_1", payment_intent="pi_1", status="won")
lost = event("charge.dispute.closed", "evt_7", id="dp_1", payment_intent="pi_1", status="lost")
subscribed = event("checkout.session.completed", "evt_9", id="cs_9", payment_intent=None, payment_status="paid", mode="subscription",
                   subscription="sub_9", client_reference_id="bob", amount_total=1000, currency="usd")
other = event("customer.created", "evt_8", id="cus_1")

cases = []


def case(name, body, header, status):
    cases.append({"name": name, "body": body, "header": header, "status": status})


for name, body in [("paid", paid), ("not paid yet", unpaid), ("named in metadata", named), ("refunded", refunded),
                   ("disputed", disputed), ("won", won), ("lost", lost), ("of no interest", other),
                   ("a subscription begins", subscribed)]:
    case(name, body, f"t={T},v1={sign(NEW, T, body)}", 200)
case("the old secret", paid, f"t={T},v1={sign(OLD, T, paid)}", 200)
case("two signatures, the second is ours", paid, f"t={T},v1={sign(OTHER, T, paid)},v1={sign(NEW, T, paid)},v0=ab", 200)
case("300 seconds old", paid, f"t={T - 300},v1={sign(NEW, T - 300, paid)}", 200)
case("301 seconds old", paid, f"t={T - 301},v1={sign(NEW, T - 301, paid)}", 401)
case("from the future", paid, f"t={T + 301},v1={sign(NEW, T + 301, paid)}", 401)
case("another secret", paid, f"t={T},v1={sign(OTHER, T, paid)}", 401)
case("another body", paid + " ", f"t={T},v1={sign(NEW, T, paid)}", 401)
case("another time", paid, f"t={T + 1},v1={sign(NEW, T, paid)}", 401)
case("only the scheme before", paid, f"t={T},v0={sign(NEW, T, paid)}", 401)
case("cut short", paid, f"t={T},v1={sign(NEW, T, paid)[:-2]}", 401)
case("no time", paid, f"v1={sign(NEW, T, paid)}", 401)
case("nothing", paid, "", 401)
case("no event", "[]", f"t={T},v1={sign(NEW, T, '[]')}", 400)
print(json.dumps({"secrets": [NEW, OLD], "cases": cases}, indent=1, ensure_ascii=False))
