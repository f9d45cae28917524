# look.jq: of the answers to STREAM.INFO and CONSUMER.LIST, what a backup of the stream has to bring back.
# An empty stream begins with what comes next; one that never had a message says 0 until it is restored.
if length < 2 then error("no answer") else . end
| (.[0].state | {messages, first_seq: (if .messages == 0 then .last_seq + 1 else .first_seq end), last_seq})
  + {consumers: (.[1].consumers // [] | map(select(.config.durable_name)
      | {key: .name, value: {delivered: .delivered.stream_seq, ack_floor: .ack_floor.stream_seq}}) | from_entries)}
