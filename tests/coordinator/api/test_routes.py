"""Every route says who may call it, is described, and answers refusals as problem+json."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from coordinator.accounts.rules import Right
from coordinator.app import create_app
from tests.factories import native, token_for


@pytest.fixture
def store(sqlite_store):
    """Routes are the same on both databases."""
    return sqlite_store


def rules(app):
    return [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]


def test_every_route_declares_who_may_call_it(app):
    silent = [rule.rule for rule in rules(app) if not hasattr(app.view_functions[rule.endpoint], "access")]
    assert silent == []


def test_every_page_declares_who_may_open_it(store):
    pages = create_app(store)
    views = {rule.rule: vars(pages.view_functions[rule.endpoint]) for rule in rules(pages)}
    assert [rule for rule, said in views.items() if not said.keys() & {"access", "declares"}] == []


def test_me_is_for_every_token(store, client):
    for role in ("administrator", "auditor", "coordinator"):
        answer = client.get("/api/v1/me", headers={"Authorization": f"Bearer {token_for(store, role)}"})
        assert (answer.status_code, answer.get_json()["role"]) == (200, role)
    assert client.get("/api/v1/me").status_code == 401


def test_a_view_that_declares_nothing_would_be_found(app):
    app._got_first_request = False
    app.add_url_rule("/forgotten", view_func=lambda: "x")
    assert [rule.rule for rule in rules(app) if not hasattr(app.view_functions[rule.endpoint], "access")] == [
        "/forgotten"]  # fmt: skip


def test_every_route_of_the_api_is_in_the_openapi_document(app, client):
    document = client.get("/api/v1/openapi.json").get_json()
    assert document["openapi"] == "3.1.0"
    described = {(path, method) for path, item in document["paths"].items() for method in item}
    wanted = set()
    for rule in rules(app):
        if rule.rule.startswith("/api/v1/") and rule.endpoint != "api.openapi.document":
            path = rule.rule.replace("<int:", "<").replace("<", "{").replace(">", "}")
            wanted |= {(path, method.lower()) for method in rule.methods - {"HEAD", "OPTIONS"}}
    assert described == wanted


def test_the_openapi_document_is_the_same_where_pages_are_served_too(store, client):
    whole = create_app(store).test_client().get("/api/v1/openapi.json")
    assert (whole.status_code, whole.get_json()) == (200, client.get("/api/v1/openapi.json").get_json())


def test_the_openapi_document_keeps_the_bounds_of_a_report(client):
    schema = client.get("/api/v1/openapi.json").get_json()["components"]["schemas"]["NativeReport"]
    assert schema["required"] == ["title", "tlp"]
    assert schema["properties"]["title"]["maxLength"] == 120
    assert "AMBER+STRICT" in schema["properties"]["tlp"]["enum"]


@pytest.mark.parametrize("method, path", [
    ("get", "/api/v1/incidents"), ("get", "/api/v1/incidents/INC-2026-000001"), ("post", "/api/v1/reports"),
    ("patch", "/api/v1/incidents/INC-2026-000001"), ("post", "/api/v1/tasks/1/complete"),
    ("post", "/api/v1/decisions/1/approve"), ("get", "/api/v1/attachments/1"),
])  # fmt: skip
def test_without_a_token_nothing_is_answered(client, method, path):
    for headers in ({}, {"Authorization": "Bearer ct_wrong"}, {"Authorization": "Basic eDp5"},
                    {"Authorization": "Bearer " + "\xff" * 50}):  # fmt: skip
        answer = getattr(client, method)(path, headers=headers)
        assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("role, scopes, status", [
    ("administrator", None, 403), ("partner-user", ["read"], 403), ("auditor", None, 200),
    ("coordinator", ["read"], 200), ("coordinator", ["report"], 403),
])  # fmt: skip
def test_reading_needs_the_role_and_the_scope(store, client, role, scopes, status):
    token = token_for(store, role, scopes)
    assert client.get("/api/v1/incidents", headers={"Authorization": f"Bearer {token}"}).status_code == status


def test_no_view_asks_for_a_right_that_no_role_has(app):
    asked = {app.view_functions[rule.endpoint].access for rule in rules(app)}
    assert {what for kind, what in asked if kind == "needs"} <= set(Right)
    assert all(len(what) > 10 for kind, what in asked if kind in ("open", "signed"))


def test_what_is_not_there_and_what_is_not_taken_are_problems(client):
    for answer, status in ((client.get("/api/v1/nothing"), 404), (client.delete("/api/v1/incidents"), 405),
                           (client.get("/nothing"), 404)):  # fmt: skip
        assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
        assert answer.get_json()["status"] == status
    assert "GET" in client.delete("/api/v1/incidents").headers["Allow"]


def test_security_headers_are_on_every_answer(client):
    for path in ("/api/v1/incidents", "/healthz", "/api/v1/openapi.json", "/nothing"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer" or path == "/nothing"


def test_links_come_from_base_url_and_never_from_host(partner):
    body = partner.post(native()).get_json()
    assert body["status_url"].startswith("http://127.0.0.1:8080/api/v1/report-status/")


def test_the_page_that_describes_the_api_needs_nobody_else(client):
    page = client.get("/api/docs")
    assert b"//cdn" not in page.data and b"https://" not in page.data
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
        assert client.get(f"/api/docs/{name}").status_code == 200
    for name in ("..%2f__init__.py", "unknown.js", "x.py"):
        assert client.get(f"/api/docs/{name}").status_code == 404


def test_too_many_guesses_from_one_address_wait(app, client):
    app.config["LIMIT_GUESSES"] = "5 per minute"
    said = [client.get("/api/v1/incidents").status_code for _ in range(7)]
    assert said == [401] * 5 + [429] * 2
    answer = client.get("/api/v1/incidents")
    assert answer.content_type == "application/problem+json"
    assert client.get("/healthz").status_code == 200


def test_too_many_reports_at_one_endpoint_wait(app, partner):
    app.config["LIMIT_PARTNER"] = "2 per minute"
    said = [partner.post(native(title=f"Report {number}")) for number in range(3)]
    assert [one.status_code for one in said] == [202, 202, 429]
    assert said[2].headers["Retry-After"]


def test_an_unexpected_failure_shows_and_logs_nothing_of_what_was_sent(app, client, capfd):
    def fails():
        raise RuntimeError("CANARY secret text")

    fails.access = ("open", "a test of failures")
    app.add_url_rule("/api/v1/fails", view_func=fails)
    answer = client.get("/api/v1/fails")
    assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
    said = capfd.readouterr()
    assert b"CANARY" not in answer.data and "CANARY" not in said.err + said.out
    assert "RuntimeError" in said.err and "fails" in said.err


def test_what_somebody_else_wrote_at_the_same_instant_is_409_and_what_breaks_another_rule_is_our_fault(store, app):
    def writes(*statements):
        def view():
            with store.unit_of_work() as tx:
                for statement in statements:
                    tx.execute(text(statement))

        view.access = ("open", "a test of failures")
        return view

    one = "INSERT INTO settings (name, value) VALUES ('twice', '1')"
    app.add_url_rule("/api/v1/twice", endpoint="twice", view_func=writes(one, one))
    app.add_url_rule("/api/v1/half", endpoint="half", view_func=writes("INSERT INTO settings (name) VALUES ('half')"))
    client = app.test_client()
    assert [client.get(f"/api/v1/{each}").status_code for each in ("twice", "half")] == [409, 500]


def test_a_database_that_is_away_is_503_with_retry_after(store, client):
    store.engine.dispose()
    (store.settings.data_dir / "coordinator.db").unlink()
    (store.settings.data_dir / "coordinator.db").mkdir()
    answer = client.get("/api/v1/incidents", headers={"Authorization": "Bearer ct_" + "x" * 40})
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 503 and ready.get_json()["parts"]["database"] is False


def test_readyz_names_the_parts_that_are_away(client):
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json()["parts"] == {
        "database": True, "migrations": True, "broker": False, "clock": True, "worker": False}  # fmt: skip


def test_metrics_are_for_this_machine_or_the_token(store, client):
    assert b"coordinator_pending_rows" in client.get("/metrics").data
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 401


def test_metrics_hold_no_content(store, client, partner):
    partner.post(native(title="CANARY"))
    said = client.get("/metrics").data
    assert b'coordinator_incidents{status="reported"} 1.0' in said
    assert b"CANARY" not in said


def test_no_token_and_no_content_reaches_the_log(client, partner, capfd):
    url = partner.post(native(title="CANARY-TITLE", description="CANARY-BODY")).get_json()["status_url"]
    token = url.rpartition("/")[2]
    client.get(f"/api/v1/report-status/{token}")
    client.get(f"/api/v1/acknowledgements/{token}")
    client.get(f"/a/{token}")
    said = capfd.readouterr()
    assert token not in said.err + said.out
    assert "CANARY" not in said.err + said.out
    assert "/api/v1/report-status/<token>" in said.err


def test_an_application_without_a_proxy_believes_no_forwarded_address(store):
    app = create_app(store, pages=False)
    answer = app.test_client().get(
        "/metrics", environ_base={"REMOTE_ADDR": "192.0.2.1"}, headers={"X-Forwarded-For": "127.0.0.1"}
    )
    assert answer.status_code == 401
