# compare.jq: how a restored stream is none that there was between $before and $after, a line each. What was stored in
# that time may or may not be in it, and what was removed too.
$before[0] as $before | $after[0] as $after | $found[0] as $found
| ($after.last_seq - $before.last_seq) as $stored
| def outside($what; $least; $is; $most):
    select($is == null or $is < $least or $is > $most) | "\($what) is \($is), not \($least) to \($most)";
  outside("first_seq"; $before.first_seq; $found.first_seq; $after.first_seq),
  outside("last_seq"; $before.last_seq; $found.last_seq; $after.last_seq),
  outside("messages"; $after.messages - $stored; $found.messages; $before.messages + $stored),
  ($before.consumers | keys[] | select($after.consumers[.]) as $name
    | ("delivered", "ack_floor") as $place
    | outside("\($place) of \($name)"; $before.consumers[$name][$place]; $found.consumers[$name][$place];
        $after.consumers[$name][$place]))
