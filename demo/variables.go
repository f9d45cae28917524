package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// variables reads the variables that begin with one prefix and remembers what is wrong with them.
type variables struct {
	env      map[string]string
	prefix   string
	problems []error
}

func (v *variables) edge(user string) edge {
	files := v.files()
	files.passwordFile = v.text("PASSWORD_FILE")
	return edge{
		name:     v.service(),
		address:  net.JoinHostPort(v.text("HOST"), v.text("PORT")),
		user:     v.text(user),
		poolSize: v.number("POOL_SIZE", defaultPoolSize),
		identity: files,
	}
}

// service is the name of the service that the settings are of.
func (v *variables) service() string {
	return strings.ReplaceAll(strings.ToLower(v.prefix), "_", "-")
}

func (v *variables) files() identity {
	return identity{caFile: v.text("CA_FILE"), certFile: v.text("CERT_FILE"), keyFile: v.text("KEY_FILE")}
}

func (v *variables) has(setting string) bool {
	return v.env[v.prefix+"_"+setting] != ""
}

// text is a setting that must be there.
func (v *variables) text(setting string) string {
	return v.needed(setting, "the platform sets it")
}

// chosen is a setting that only whoever runs this app can know.
func (v *variables) chosen(setting string) string {
	return v.needed(setting, "set it under `env` of this app")
}

func (v *variables) needed(setting, how string) string {
	if !v.has(setting) {
		v.problems = append(v.problems, fmt.Errorf("%s_%s is missing; %s", v.prefix, setting, how))
	}
	return v.env[v.prefix+"_"+setting]
}

// number is a positive whole number, or what holds where the setting isn't there.
func (v *variables) number(setting string, otherwise int) int {
	if !v.has(setting) {
		return otherwise
	}
	variable := v.prefix + "_" + setting
	number, err := strconv.ParseInt(v.env[variable], 10, 32)
	if err != nil || number < 1 {
		v.wrong(variable, v.env[variable], "a whole number of at least 1")
	}
	return int(number)
}

func (v *variables) wrong(variable, given, allowed string) {
	v.problems = append(v.problems, fmt.Errorf("%s: %q given; allowed: %s", variable, given, allowed))
}
