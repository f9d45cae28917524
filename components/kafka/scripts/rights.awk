# rights.awk: rights as single entries, "KIND PATTERN NAME PRINCIPAL HOST OPERATION PERMISSION", one a line.
# Input: what the server says of its rights, or the file `rights`, where `declared` is set and each entry is followed
# by a tab and the line it comes from.
function value(text, name, start, rest) {
  start = index(text, name "=")
  if (!start) return ""
  rest = substr(text, start + length(name) + 1)
  sub(/[,)].*/, "", rest)
  return rest
}
declared {
  operations = split($1, operation, ","); kinds = split($2, kind, ","); names = split($4, name, ",")
  for (i = 5; i <= NF; i++) for (j = 1; j <= names; j++) for (k = 1; k <= operations; k++) for (l = 1; l <= kinds; l++)
    print kind[l] " " $3 " " name[j] " User:" $i " * " operation[k] " ALLOW\t" $0
  next
}
/ResourcePattern/ {
  thing = value($0, "resourceType") " " value($0, "patternType") " " value($0, "name")
  next
}
/principal=/ { print thing " " value($0, "principal") " " value($0, "host") " " value($0, "operation") " " value($0, "permissionType") }
