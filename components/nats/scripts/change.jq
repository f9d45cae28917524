# change.jq: what to ask of JetStream for a stream or a consumer, as {verb, body}, or {why} it can't be done; nothing
# where nothing differs. The input is the answer to its INFO request; $wanted is {stream, consumer}, the declared
# configurations, consumer being null for a stream. Never asks for what would drop messages that are there.
def bare: if . == "" or . == [] or . == 0 then null else . end;
def lacks($new): . as $is | any($new | keys[]; . as $key | ($new[$key] | bare) != ($is[$key] | bare));
def seconds: sub("\\.[0-9]+Z$"; "Z") | fromdate;

def dropped_from($is; $state; $new):
  if $state.messages == 0 then empty else
    (select($new.max_bytes < $state.bytes) | "it holds \($state.bytes) bytes, max_bytes is \($new.max_bytes)"),
    (select($new.max_age > 0 and (now - ($state.first_ts | seconds)) * 1000000000 > $new.max_age)
      | select($is.max_age == 0 or $new.max_age < $is.max_age)
      | "its oldest message is older than max_age"),
    (select($new.retention != $is.retention) | "it holds messages for retention \($is.retention)")
  end;

# With retention by interest or as a work queue, messages that a consumer waits for are kept for it alone.
def dropped_by($is; $waiting; $new; $stream):
  select($stream.retention != "limits" and $waiting > 0 and $new.filter_subject != ($is.filter_subject // ""))
  | "\($waiting) messages wait for its present filter";

def request($action; $config):
  if $wanted.consumer == null then {verb: "STREAM.\($action | ascii_upcase).\($wanted.stream.name)", body: $config}
  else {verb: "CONSUMER.CREATE.\($wanted.stream.name).\($config.name)",
        body: {stream_name: $wanted.stream.name, action: $action, config: $config}} end;

($wanted.consumer // $wanted.stream) as $new
| if .error.err_code == 10059 or .error.err_code == 10014 then request("create"; $new)
  elif .error then {why: .error.description}
  elif .config | lacks($new) | not then {}
  else
    [ if $wanted.consumer == null then dropped_from(.config; .state; $new)
      else dropped_by(.config; .num_pending + .num_ack_pending; $new; $wanted.stream) end ] as $why
    | if $why != [] then {why: ("changing it would drop messages: " + ($why | join("; ")))}
      else request("update"; .config * $new | del(.metadata)) end
  end
