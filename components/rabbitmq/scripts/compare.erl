%% Whether this node has just what the backup has that it was given: {ok, Number}, or {different, [What]}. Evaluated in
%% the server of a drill by `rabbitmqctl eval_file`.
{ok, Text} = file:read_file("/var/lib/rabbitmq/drill/definitions.json"),
Wanted = rabbit_json:decode(Text),
Found = rabbit_json:decode(rabbit_json:encode(rabbit_definitions:all_definitions())),
Kinds = [
    <<"users">>, <<"vhosts">>, <<"permissions">>, <<"topic_permissions">>, <<"parameters">>, <<"policies">>,
    <<"exchanges">>, <<"queues">>, <<"bindings">>
],
List = fun(Kind, Definitions) -> lists:sort(maps:get(Kind, Definitions, [])) end,
case [Kind || Kind <- Kinds, List(Kind, Wanted) =/= List(Kind, Found)] of
    [] -> {ok, lists:sum([length(List(Kind, Wanted)) || Kind <- Kinds])};
    Different -> {different, Different}
end.
