# look.jq: of the answers to STREAM.INFO and CONSUMER.LIST, what a backup of the stream has to bring back.
if length < 2 then error("no answer") else . end
| (.[0].state | {messages, first_seq, last_seq})
  + {consumers: (.[1].consumers // [] | map(select(.config.durable_name)
      | {key: .name, value: {delivered: .delivered.stream_seq, ack_floor: .ack_floor.stream_seq}}) | from_entries)}
