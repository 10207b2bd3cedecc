#!/bin/sh
# The passwords of compose.yaml, made by chance, kept in the volume `secrets`; each service is given its own, for its user alone.
#   docker compose run --rm secrets show [NAME]           what there is, or one of them
#   docker compose run --rm -T secrets set NAME <file     one of your own
#   docker compose run --rm secrets renew NAME            another by chance; then: docker compose up -d --force-recreate
# Runs in the broker's image, for its mosquitto_passwd.
set -eu
umask 077

ALL='http_token grafana_admin mqtt_node mqtt_viewer mqtt_operator mqtt_homeassistant mqtt_health nats_node nats_viewer nats_operator'
# Other folders in tests, which run as anybody.
KEPT=${KEPT:-/secrets} OF=${OF:-/of} ACL=${ACL:-/acl} CHOWN=${CHOWN:-chown} TMPDIR=${TMPDIR:-/tmp}

die() { echo "secrets: $*" >&2; exit 2; }
known() { for name in $ALL; do [ "$name" != "$1" ] || return 0; done; die "there is no secret $1; there are: $ALL"; }
by_chance() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
secret() { [ -s "$KEPT/$1" ] || die 'none are made yet: docker compose up -d'; cat "$KEPT/$1"; }

# keep NAME: what stands on standard input.
keep() {
  cat >"$KEPT/.$1"
  # Such letters mean the same in a header, a URL and every file below.
  value=$(cat "$KEPT/.$1")
  case "$value" in
    *[!A-Za-z0-9_.~-]*) rm -f "$KEPT/.$1"; die "$1: letters, digits and - _ . ~ only" ;;
  esac
  [ ${#value} -ge 16 ] || { rm -f "$KEPT/.$1"; die "$1: 16 characters or more"; }
  printf '%s' "$value" >"$KEPT/.$1"
  mv "$KEPT/.$1" "$KEPT/$1"
}

make_missing() { for name in $ALL; do [ -s "$KEPT/$name" ] || by_chance | keep "$name"; done; }

# give SERVICE FILE USER: what stands on standard input, for that user and nobody else. A whole file takes the place of the old.
give() {
  [ -d "$OF/$1" ] || return 0
  cat >"$OF/$1/.new"
  chmod 400 "$OF/$1/.new"
  "$CHOWN" "$3:$3" "$OF/$1/.new"
  mv -f "$OF/$1/.new" "$OF/$1/$2"
  chmod 755 "$OF/$1"
}

hand_out() {
  secret mqtt_node | give sightwire mqtt_password 10001
  secret nats_node | give sightwire nats_password 10001
  secret http_token | give sightwire http_token 10001
  secret mqtt_viewer | give viewer mqtt_viewer 10001
  secret http_token | give prometheus sightwire_token 65534
  secret grafana_admin | give grafana admin_password 472
  for user in node viewer operator; do echo "password_$user: \"$(secret "nats_$user")\""; done | give nats passwords.conf 10002
  for user in node viewer operator homeassistant health; do echo "$user:$(secret "mqtt_$user")"; done >"$TMPDIR/users"
  mosquitto_passwd -U "$TMPDIR/users"
  give mosquitto users 1883 <"$TMPDIR/users"
  rm -f "$TMPDIR/users"
  give mosquitto acl 1883 <"$ACL"
  printf '%s\n' '-u health' "-P $(secret mqtt_health)" | give mosquitto mosquitto_sub 1883
  # The image has no folder that its volume could take the owner from.
  if [ -d "$OF/nats-data" ]; then "$CHOWN" 10002:10002 "$OF/nats-data"; fi
}

case "${1:-make}" in
  make)
    make_missing
    hand_out
    echo 'secrets: in place; docker compose run --rm secrets show'
    ;;
  show)
    if [ -n "${2:-}" ]; then known "$2"; secret "$2"; echo; exit; fi
    for name in $ALL; do
      value=$(secret "$name") || exit
      printf '%-20s %s\n' "$name" "$value"
    done
    ;;
  set) known "${2:-}"; head -n 1 | keep "$2"; make_missing; hand_out ;;
  renew) known "${2:-}"; by_chance | keep "$2"; make_missing; hand_out ;;
  *) die 'make, show [NAME], set NAME or renew NAME' ;;
esac
