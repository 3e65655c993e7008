"""What can be wrong with sign-in, tokens, access, limits and network, and what to do about each. PURE.

The sentences are for people: the doctor's page, its command and docs/troubleshooting.md all show these.
"""

from __future__ import annotations

from typing import Final

from accounts.diagnosis import DATA, LOGIN, TOKEN, Topic, Trouble

APP: Final = Topic(
    "login.app",
    LOGIN,
    "App ID and App Secret",
    "Looks at META_APP_ID and META_APP_SECRET, then asks Meta about the app's own token.",
    {
        "missing": Trouble(
            "The app's id or secret is not set.",
            "Set META_APP_ID and META_APP_SECRET in .env or the environment, and start every process again.",
        ),
        "malformed": Trouble(
            "The app's id is not a number.",
            "Copy the App ID from Meta's app dashboard (Settings, Basic) into META_APP_ID, digits only.",
        ),
        "refused": Trouble(
            "Meta refuses the id and secret.",
            "Compare both with Meta's app dashboard (Settings, Basic). After a reset of the secret, set the new one"
            " and start every process again.",
        ),
        "other": Trouble(
            "The secret belongs to another app.", "Take META_APP_ID and META_APP_SECRET from the same app."
        ),
    },
)
REDIRECT: Final = Topic(
    "login.redirect",
    LOGIN,
    "Redirect address",
    "Looks at PUBLIC_URL and META_REDIRECT_PATH. Meta's own list cannot be asked for, so the address is shown for"
    " comparing.",
    {
        "malformed": Trouble(
            "The redirect address is not an address.",
            "Set PUBLIC_URL like https://ads.example.com (no path) and META_REDIRECT_PATH like /auth/meta/callback.",
        ),
        "insecure": Trouble(
            "The redirect address is plain http on a public host.",
            "Put a proxy with a certificate before this server and set PUBLIC_URL to https://…; Meta takes plain http"
            " for localhost only.",
        ),
    },
)
PERMISSIONS: Final = Topic(
    "login.permissions",
    LOGIN,
    "Permissions given at sign-in",
    "Asks Meta which permissions each connected person gave or declined, against META_SCOPES.",
    {
        "none": Trouble(
            "No Meta account is connected.", "Press “Connect Meta account” on the connections page."
        ),
        "unreadable": Trouble(
            "The permission to read ads was declined or taken back.",
            "Connect again and leave ads_read and ads_management switched on in Meta's dialog.",
        ),
        "declined": Trouble(
            "Another permission was declined.",
            "Connect again and leave every permission switched on, if its features are wanted. Without"
            " ads_management the connection is read-only.",
        ),
    },
)
BROWSER: Final = Topic(
    "login.browser",
    LOGIN,
    "Your browser",
    "The doctor's page looks from inside your browser: address, cookies, scripts and their errors, live line, clock."
    " On the server nobody can see that.",
    {
        "origin": Trouble(
            "The page was opened under another address than PUBLIC_URL.",
            "Open the product under its PUBLIC_URL: Meta sends people back there, and the session's cookie belongs"
            " to one address only.",
        ),
        "cookies": Trouble(
            "The browser sends no cookies.",
            "Allow cookies for this site; without them the way back from Meta finds nobody signed in.",
        ),
        "script": Trouble(
            "A script of this page failed or was blocked.",
            "Reload the page with browser extensions switched off, then look at the browser's console.",
        ),
        "socket": Trouble(
            "The live line is blocked.",
            "Let the proxy or firewall pass WebSockets to /ws/. Until then pages ask every 30 seconds by themselves.",
        ),
        "clock": Trouble(
            "This computer's clock is wrong.",
            "Set the computer's clock by the network: a sign-in is good for ten minutes only.",
        ),
    },
)
EXPIRY: Final = Topic(
    "token.expiry",
    TOKEN,
    "Token is not expired",
    "Asks Meta about each token's two ends: of the token, and of the access to data.",
    {
        "expired": Trouble(
            "A token has ended.",
            "Reconnect that Meta account on the connections page; changes rest until then.",
        ),
        "refused": Trouble(
            "Meta says that a token is not valid any more.",
            "Reconnect that Meta account on the connections page. A changed password or a security check at Facebook"
            " ends tokens early.",
        ),
        "soon": Trouble(
            "A token ends within 14 days.",
            "Press “Renew the token” on the connections page; if that does not move the day, reconnect.",
        ),
        "rests": Trouble(
            "A connection is paused or held after a restore.",
            "Resume it on the connections page; one that was restored from a backup goes on once Meta has answered.",
        ),
    },
)
SCOPES: Final = Topic(
    "token.permissions",
    TOKEN,
    "Token permissions",
    "Compares what Meta says of each token with what the ad accounts that are switched on need from it.",
    {
        "read": Trouble(
            "A token may not read an ad account that is switched on.",
            "Connect again, leave ads_read on, and choose this ad account where Meta asks which ones to share.",
        ),
        "write": Trouble(
            "A token may read but not change an ad account.",
            "Connect again and leave ads_management on, and have the Meta user given the task Manage campaigns, if"
            " changes are wanted there.",
        ),
    },
)
STORAGE: Final = Topic(
    "token.storage",
    TOKEN,
    "Token storage",
    "Opens every stored token with the keys of FERNET_KEYS and checks that it belongs to its row.",
    {
        "unreadable": Trouble(
            "A stored token cannot be opened.",
            "Put the missing key back into FERNET_KEYS after the newest one and start again; if it is lost, reconnect.",
        ),
        "empty": Trouble(
            "A connection has no token.", "Reconnect that Meta account on the connections page."
        ),
        "old_key": Trouble(
            "Tokens still lie under an older key.",
            "Run manage.py rotate_keys; only then may the old key leave FERNET_KEYS.",
        ),
    },
)
ENDPOINT: Final = Topic(
    "token.endpoint",
    TOKEN,
    "API end point",
    "Calls /me with each token under META_GRAPH_VERSION, and looks for Meta's version warnings.",
    {
        "unreached": Trouble(
            "The Graph API does not answer.",
            "Look at metastatus.com and at the check of the network below, and try again in a few minutes.",
        ),
        "refused": Trouble(
            "The Graph API refuses a call that any good token may make.",
            "Reconnect that Meta account on the connections page.",
        ),
        "version": Trouble(
            "Meta warns of the API version, or has retired it.",
            "Set META_GRAPH_VERSION to a current version, run the tests, and start every process again.",
        ),
    },
)
ACCESS: Final = Topic(
    "data.access",
    DATA,
    "Access to the ad accounts",
    "Reads each ad account that is switched on, as the poll does.",
    {
        "none_on": Trouble(
            "No ad account is switched on.", "Switch on what should be read, on the connections page."
        ),
        "no_connection": Trouble(
            "No connection can read an ad account.", "Reconnect its Meta account on the connections page."
        ),
        "refused": Trouble(
            "Meta does not let the connected user read an ad account.",
            "Have the Meta user added to the ad account in Meta Business settings, then press “Look for ad accounts"
            " again”.",
        ),
        "status": Trouble(
            "An ad account is not active at Meta.",
            "Open Account Quality and Billing at Meta; its alert says since when and what it was before.",
        ),
    },
)
LIMITS: Final = Topic(
    "data.limits",
    DATA,
    "Meta's rate limits",
    "Looks at the call budget that all workers share: Meta's usage headers, its blocks, and our own count.",
    {
        "blocked": Trouble(
            "Meta has blocked calls for a while.",
            "Wait until the time that is named; calling on makes it longer. If it comes often, switch off ad accounts"
            " that nobody looks at, or ask Meta for a higher tier.",
        ),
        "full": Trouble(
            "Meta's limit is nearly used up, and reads rest.",
            "Wait an hour for Meta's window to roll on; end other tools that use the same Meta app.",
        ),
        "tight": Trouble(
            "Meta's limit is used to three quarters.",
            "Nothing needs to be done; if it goes on, raise the polling interval of quiet ad accounts.",
        ),
    },
)
NETWORK: Final = Topic(
    "data.network",
    DATA,
    "Network to Meta",
    "Makes one call without a token through the product's own door: name, connection, certificate, answer, clock.",
    {
        "unreached": Trouble(
            "Meta's host cannot be reached from this server.",
            "Check name resolution, firewall and proxy of this server for https to the host of META_GRAPH_URL.",
        ),
        "slow": Trouble(
            "Meta answers slowly.",
            "Look at this server's network and at metastatus.com; numbers arrive late.",
        ),
        "clock": Trouble(
            "This server's clock and Meta's differ.",
            "Let the server take its time from the network (NTP), and start every process again.",
        ),
    },
)
TOPICS: Final = (
    APP, REDIRECT, PERMISSIONS, BROWSER, EXPIRY, SCOPES, STORAGE, ENDPOINT, ACCESS, LIMITS, NETWORK,
)  # fmt: skip
