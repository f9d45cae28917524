"""Of a list of backups, the newest that is whole: its name, the second it ended and its bytes.

Reads what `barman-cloud-backup-list --format json` prints.
"""

import json
import sys
from datetime import datetime

whole = [one for one in json.load(sys.stdin)["backups_list"] if one["status"] == "DONE"]
if whole:
    newest = max(whole, key=lambda one: one["backup_id"])
    ended = datetime.fromisoformat(newest["end_time_iso"])
    print(newest["backup_id"], int(ended.timestamp()), newest["cluster_size"] or 0)
