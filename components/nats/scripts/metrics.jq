# metrics.jq: /varz and /jsz of one server as metrics in Prometheus' text format. Names and labels are those of NATS's
# own exporter, so that dashboards made for it serve.
def labelled($labels): [$labels | to_entries[] | "\(.key)=\"\(.value)\""] | join(",");
def metric($name; $kind; samples):
  "# TYPE \($name) \($kind)", (samples | select(.[1] != null) | "\($name){\(labelled(.[0]))} \(.[1])");

.[0] as $varz | .[1] as $jsz | $varz.server_name as $me
# One that is alone leads everything.
| def leads($group): $group == null or $group.leader == $me;
  {server_id: $me} as $core
| {server_name: $me, is_meta_leader: leads($jsz.meta_cluster)} as $server
| [ $jsz.account_details[]?.stream_detail[]?
    | .labels = $server + {stream_name: .name, is_stream_leader: leads(.cluster)} ] as $streams
| [ $streams[] | .labels as $labels | .consumer_detail[]?
    | .labels = $labels + {consumer_name: .name, is_consumer_leader: leads(.cluster)} ] as $consumers
| (("connections", "routes", "subscriptions", "mem", "cpu", "cores") as $key
    | metric("gnatsd_varz_\($key)"; "gauge"; [$core, $varz[$key]])),
  (("total_connections", "slow_consumers", "in_msgs", "out_msgs", "in_bytes", "out_bytes") as $key
    | metric("gnatsd_varz_\($key)"; "counter"; [$core, $varz[$key]])),
  metric("jetstream_server_total_streams"; "gauge"; [$server, $jsz.streams]),
  metric("jetstream_server_total_consumers"; "gauge"; [$server, $jsz.consumers]),
  metric("jetstream_server_total_messages"; "gauge"; [$server, $jsz.messages]),
  metric("jetstream_server_total_message_bytes"; "gauge"; [$server, $jsz.bytes]),
  metric("jetstream_server_max_storage"; "gauge"; [$server, $jsz.config.max_storage]),
  metric("jetstream_stream_total_messages"; "gauge"; $streams[] | [.labels, .state.messages]),
  metric("jetstream_stream_total_bytes"; "gauge"; $streams[] | [.labels, .state.bytes]),
  metric("jetstream_stream_limit_bytes"; "gauge"; $streams[] | [.labels, .config.max_bytes]),
  metric("jetstream_stream_first_seq"; "counter"; $streams[] | [.labels, .state.first_seq]),
  metric("jetstream_stream_last_seq"; "counter"; $streams[] | [.labels, .state.last_seq]),
  metric("jetstream_consumer_delivered_stream_seq"; "counter"; $consumers[] | [.labels, .delivered.stream_seq]),
  metric("jetstream_consumer_ack_floor_stream_seq"; "counter"; $consumers[] | [.labels, .ack_floor.stream_seq]),
  metric("jetstream_consumer_num_ack_pending"; "gauge"; $consumers[] | [.labels, .num_ack_pending]),
  metric("jetstream_consumer_num_redelivered"; "gauge"; $consumers[] | [.labels, .num_redelivered]),
  metric("jetstream_consumer_num_waiting"; "gauge"; $consumers[] | [.labels, .num_waiting]),
  metric("jetstream_consumer_num_pending"; "gauge"; $consumers[] | [.labels, .num_pending])
