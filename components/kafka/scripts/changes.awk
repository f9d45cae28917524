# changes.awk: what differs between the declared topics and those of the server, one a line: what to do, and to what.
# Input: the file `topics`, then what the server says of its topics. `id` is this server's number.
# Never asks for what would lose records: that it says.
BEGIN { FS = "\t" }

function field(label, i) { # the value that follows a label
  for (i = 1; i <= NF; i++) if (index($i, label ": ") == 1) return substr($i, length(label) + 3)
  return ""
}
function has(list, item) { return index("," list ",", "," item ",") > 0 }
function setting(list, name, part, i, n) {
  n = split(list, part, ",")
  for (i = 1; i <= n; i++) if (index(part[i], name "=") == 1) return substr(part[i], length(name) + 2)
  return ""
}
function left(topic, why) { print "leave " topic " " why }

FNR == NR {
  split($0, word, " ")
  order[++declared] = word[1]; partitions[word[1]] = word[2]; copies[word[1]] = word[3]; settings[word[1]] = word[4]
  next
}
/^Topic: / {
  topic = field("Topic"); seen[topic] = 1
  is_partitions[topic] = field("PartitionCount"); is_copies[topic] = field("ReplicationFactor")
  is_settings[topic] = field("Configs")
  if (!(topic in partitions) && topic !~ /^__/) print "know " topic
}
/^\tTopic: / { if (has(field("Replicas"), id) && !has(field("Isr"), id)) behind++ }

END {
  for (i = 1; i <= declared; i++) {
    topic = order[i]
    if (!(topic in seen)) { print "create " topic " " partitions[topic] " " copies[topic] " " settings[topic]; continue }
    if (is_partitions[topic] + 0 > partitions[topic] + 0)
      left(topic, "has " is_partitions[topic] " partitions, and fewer would lose the records of some")
    if (is_partitions[topic] + 0 < partitions[topic] + 0) print "grow " topic " " partitions[topic]
    if (is_copies[topic] != copies[topic]) left(topic, "has " is_copies[topic] " copies, not " copies[topic])
    if (setting(is_settings[topic], "cleanup.policy") == "compact" && has(settings[topic], "cleanup.policy=delete")) {
      left(topic, "is compacted, and the newest records of old keys would go with cleanup: delete")
      continue
    }
    different = ""
    n = split(settings[topic], part, ",")
    for (j = 1; j <= n; j++) if (!has(is_settings[topic], part[j])) different = different "," part[j]
    if (different != "") print "configure " topic " " substr(different, 2)
  }
  if (behind) print "wait " behind
}
