#!/usr/bin/env bash
# The AWS CLI against torc. `cli.sh ENDPOINT`; see `run`. The first steps of README.md are among what it does.
set -euo pipefail

export AWS_ENDPOINT_URL=$1 AWS_MAX_ATTEMPTS=1 AWS_DEFAULT_OUTPUT=json

db() { aws dynamodb "$@"; }

# equal WHAT EXPECTED ACTUAL
equal() {
  if [ "$2" != "$3" ]; then echo "$1: expected '$2', not '$3'"; exit 1; fi
}

# fails EXCEPTION COMMAND...
fails() {
  local wanted=$1 said; shift
  if said=$("$@" 2>&1); then echo "$*: $wanted was expected"; exit 1; fi
  case $said in *"($wanted)"*) ;; *) echo "$*: $wanted was expected, not: $said"; exit 1 ;; esac
}

db create-table --table-name music --billing-mode PAY_PER_REQUEST \
  --attribute-definitions AttributeName=artist,AttributeType=S AttributeName=song,AttributeType=S \
  --key-schema AttributeName=artist,KeyType=HASH AttributeName=song,KeyType=RANGE >/dev/null
db wait table-exists --table-name music
fails ResourceInUseException db create-table --table-name music --billing-mode PAY_PER_REQUEST \
  --attribute-definitions AttributeName=artist,AttributeType=S --key-schema AttributeName=artist,KeyType=HASH
equal status ACTIVE "$(db describe-table --table-name music --query Table.TableStatus --output text)"

db put-item --table-name music \
  --item '{"artist": {"S": "Nina Simone"}, "song": {"S": "Sinnerman"}, "year": {"N": "1965"}}'
equal "a query" 1965 "$(db query --table-name music --key-condition-expression 'artist = :a' \
  --expression-attribute-values '{":a": {"S": "Nina Simone"}}' --query 'Items[0].year.N' --output text)"

key='{"artist": {"S": "Nina Simone"}, "song": {"S": "Sinnerman"}}'
equal "an update" 1.5 "$(db update-item --table-name music --key "$key" \
  --update-expression 'ADD plays :n SET #e = :e, bin = :b, tags = :t' --expression-attribute-names '{"#e": "empty"}' \
  --expression-attribute-values '{":n": {"N": "1.50"}, ":e": {"S": ""}, ":b": {"B": "torc"}, ":t": {"SS": ["b", "a"]}}' \
  --return-values UPDATED_NEW --query Attributes.plays.N --output text)"
# The package's CLI is version 1: it takes bytes as they are, and shows them in base64.
equal "binary and sets" '{"bin":{"B":"dG9yYw=="},"empty":{"S":""},"tags":{"SS":["a","b"]}}' \
  "$(db get-item --table-name music --key "$key" --consistent-read --projection-expression '#e, bin, tags' \
    --expression-attribute-names '{"#e": "empty"}' --query Item --output json | python3 -c \
    'import json,sys; print(json.dumps(json.load(sys.stdin), sort_keys=True, separators=(",", ":")))')"
fails ConditionalCheckFailedException db put-item --table-name music --item "$key" \
  --condition-expression 'attribute_not_exists(artist)'
fails ValidationException db get-item --table-name music --key '{"artist": {"S": "x"}}'
fails ResourceNotFoundException db scan --table-name nothing

requests() {
  local index
  printf '{"music": ['
  for index in $(seq -w 1 25); do
    [ "$index" = 01 ] || printf ', '
    printf '{"PutRequest": {"Item": {"artist": {"S": "batch"}, "song": {"S": "s%s"}, "n": {"N": "%s"}}}}' "$index" "$index"
  done
  printf ']}'
}
equal unprocessed 0 "$(db batch-write-item --request-items "$(requests)" --query 'length(UnprocessedItems)')"
# The CLI goes through the pages by itself.
equal "a query in pages" 25 "$(db query --table-name music --page-size 4 --key-condition-expression 'artist = :a' \
  --expression-attribute-values '{":a": {"S": "batch"}}' --query 'length(Items)')"
equal "a scan in segments" 26 "$(for segment in 0 1 2; do
  db scan --table-name music --segment $segment --total-segments 3 --page-size 5 --query 'Items[].song.S' --output text | tr '\t' '\n'
done | sort -u | grep -c .)"
equal "a batch of gets" 2 "$(db batch-get-item --request-items \
  '{"music": {"Keys": [{"artist": {"S": "batch"}, "song": {"S": "s03"}}, {"artist": {"S": "batch"}, "song": {"S": "s17"}}]}}' \
  --query 'length(Responses.music)' --output text)"

arn=$(db describe-table --table-name music --query Table.TableArn --output text)
db tag-resource --resource-arn "$arn" --tags Key=stage,Value=test
equal tags test "$(db list-tags-of-resource --resource-arn "$arn" --query "Tags[?Key=='stage'].Value" --output text)"
db update-time-to-live --table-name music --time-to-live-specification Enabled=true,AttributeName=expires >/dev/null
equal "time to live" expires \
  "$(db describe-time-to-live --table-name music --query TimeToLiveDescription.AttributeName --output text)"

db delete-item --table-name music --key "$key"
equal "what was deleted" None "$(db get-item --table-name music --key "$key" --query Item --output text)"
db delete-table --table-name music >/dev/null
db wait table-not-exists --table-name music
fails ResourceNotFoundException db describe-table --table-name music
echo "$(aws --version 2>&1 | cut -d' ' -f1): the commands do what they do with DynamoDB"
