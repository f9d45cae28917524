# metrics.awk: topics and groups as metrics in Prometheus' text format, each by the leader of its partition alone, so
# that all servers together tell everything once. Names and labels are those of the exporter that most dashboards know.
# Input: what the server says of its topics, then of the groups. `id` is this server's number.
BEGIN { FS = "\t" }

function field(label, i) {
  for (i = 1; i <= NF; i++) if (index($i, label ": ") == 1) return substr($i, length(label) + 3)
  return ""
}
function count(list, part) { return split(list, part, ",") }
function metric(name, labels, value) {
  if (!(name in lines)) order[++names] = name
  lines[name] = lines[name] "kafka_" name "{" labels "} " value "\n"
}

FNR == NR && /^\tTopic: / {
  topic = field("Topic"); partition = field("Partition"); leader = field("Leader")
  if (leader != id && leader != "none") next
  labels = "topic=\"" topic "\",partition=\"" partition "\""
  mine[topic " " partition] = leader == id
  replicas = count(field("Replicas")); synchronous = count(field("Isr"))
  metric("topic_partition_leader", labels, leader == "none" ? -1 : leader)
  metric("topic_partition_replicas", labels, replicas)
  metric("topic_partition_in_sync_replica", labels, synchronous)
  metric("topic_partition_under_replicated_partition", labels, synchronous < replicas ? 1 : 0)
  split(field("Replicas"), preferred, ",")
  metric("topic_partition_leader_is_preferred", labels, leader == preferred[1] ? 1 : 0)
}
FNR == NR { next }
# Names of groups may hold anything; those with spaces, quotes or backslashes are left out.
{ split($0, column, " ") }
mine[column[2] " " column[3]] && $0 !~ /["\\]/ {
  labels = "topic=\"" column[2] "\",partition=\"" column[3] "\""
  if (column[5] ~ /^[0-9]+$/ && !told[labels]++) metric("topic_partition_current_offset", labels, column[5])
  labels = "consumergroup=\"" column[1] "\"," labels
  if (column[4] ~ /^[0-9]+$/) metric("consumergroup_current_offset", labels, column[4])
  if (column[6] ~ /^-?[0-9]+$/) metric("consumergroup_lag", labels, column[6])
}
END { for (i = 1; i <= names; i++) printf "# TYPE kafka_%s gauge\n%s", order[i], lines[order[i]] }
