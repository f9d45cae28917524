%% Takes away the users and bindings that the definitions no longer name, and takes in a changed cookie. Evaluated in the
%% server by `rabbitmqctl eval_file`: an import only adds.
{ok, Text} = file:read_file("/run/groundwork/cluster/definitions.json"),
Wanted = rabbit_json:decode(Text),
List = fun(Field) -> maps:get(Field, Wanted) end,
Users = [maps:get(<<"name">>, User) || User <- List(<<"users">>)],
Bindings = [
    {VHost, Source, Kind, Queue, Key, lists:sort(maps:to_list(Arguments))}
 || #{
        <<"vhost">> := VHost,
        <<"source">> := Source,
        <<"destination_type">> := Kind,
        <<"destination">> := Queue,
        <<"routing_key">> := Key,
        <<"arguments">> := Arguments
    } <- List(<<"bindings">>)
],
[
    ok = rabbit_auth_backend_internal:delete_user(User, <<"groundwork">>)
 || Info <- rabbit_auth_backend_internal:list_users(),
    User <- [proplists:get_value(user, Info)],
    not lists:member(User, Users)
],
[
    ok = rabbit_binding:remove(Binding, <<"groundwork">>)
 || {binding, {resource, VHost, exchange, Source}, Key, {resource, _, Kind, Queue}, Arguments} = Binding <-
        rabbit_binding:list_explicit(),
    not lists:member(
        {VHost, Source, atom_to_binary(Kind), Queue, Key, lists:sort([{Name, Value} || {Name, _, Value} <- Arguments])},
        Bindings
    )
],
{ok, Cookie} = file:read_file("/run/groundwork/cluster/cookie"),
erlang:set_cookie(binary_to_atom(Cookie)).
