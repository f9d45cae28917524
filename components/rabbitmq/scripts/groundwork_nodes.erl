%% Says where nodes listen, in the place of epmd, which would be a listener more, and in plaintext; and lets nobody in
%% but nodes of this cluster, since clients have certificates of the same authority. Erlang/OTP documentation, "How to
%% implement an Alternative Node Discovery for Erlang Distribution" and "Using TLS for Erlang Distribution".
-module(groundwork_nodes).
-export([start_link/0, names/1, register_node/2, register_node/3]).
-export([address_please/3, listen_port_please/2, port_please/2, port_please/3]).
-export([only_nodes/3]).

-define(PORT, 25672).
-define(DISTRIBUTION_VERSION, 6).

start_link() -> ignore.

names(_Host) -> {ok, []}.

register_node(_Name, _Port) -> {ok, -1}.
register_node(_Name, _Port, _Family) -> {ok, -1}.

address_please(_Name, Host, Family) -> inet:getaddr(Host, Family).

%% Tools, and what a new node starts to ask others who they are, have any port.
listen_port_please(Name, _Host) ->
    case is_server(Name) of
        true -> {ok, ?PORT};
        false -> {ok, 0}
    end.

port_please(Name, Host, _Timeout) -> port_please(Name, Host).
port_please(Name, _Host) ->
    case is_server(Name) of
        true -> {port, ?PORT, ?DISTRIBUTION_VERSION};
        false -> noport
    end.

is_server(Name) -> Name =:= rabbit orelse Name =:= "rabbit".

%% The certificate of each node bears the name of the service, whatever number of nodes it was made for.
only_nodes(_Certificate, {bad_cert, _} = Reason, _Service) -> {fail, Reason};
only_nodes(_Certificate, {extension, _}, Service) -> {unknown, Service};
only_nodes(_Certificate, valid, Service) -> {valid, Service};
only_nodes(Certificate, valid_peer, Service) ->
    case public_key:pkix_verify_hostname(Certificate, [{dns_id, Service}]) of
        true -> {valid, Service};
        false -> {fail, {bad_cert, hostname_check_failed}}
    end.
