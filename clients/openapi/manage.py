"""A client in Python: creates a client of the server, changes it, finds it in the list, and deletes it."""

import sys

from doorward_client import AuthenticatedClient
from doorward_client.api.clients import clients_create, clients_delete, clients_list, clients_show, clients_update
from doorward_client.models import ClientSettings, ClientSettingsPatch, Problem

issuer, key = sys.argv[1:]
doorward = AuthenticatedClient(base_url=issuer, token=key)

new = ClientSettings.from_dict(
    {
        "client_name": "Python client",
        "grant_types": ["authorization_code"],
        "redirect_uris": ["https://app.example/callback"],
        "scope": "openid",
    }
)
created = clients_create.sync(client=doorward, body=new)
assert not isinstance(created, Problem), created
client_id = created.client_id
assert created.client_secret

change = ClientSettingsPatch.from_dict({"client_name": "Changed by Python"})
changed = clients_update.sync(client_id, client=doorward, body=change)
assert changed.client_name == "Changed by Python", changed

found, page = False, clients_list.sync(client=doorward, limit=2)
while True:
    found = found or any(client.client_id == client_id for client in page.items)
    if not page.next_:
        break
    page = clients_list.sync(client=doorward, limit=2, cursor=page.next_)
assert found

assert clients_delete.sync_detailed(client_id, client=doorward).status_code == 204
gone = clients_show.sync(client_id, client=doorward)
assert isinstance(gone, Problem) and gone.code == "id_unknown", gone
