# alone.sh FILE: makes of what makes a table that Keeper knows what makes one that a server has by itself: its engine loses
# path and name of the replica.
exec sed -E -e "s/^ENGINE = Replicated([A-Za-z]*MergeTree)\('([^'\\\\]|\\\\.)*', '([^'\\\\]|\\\\.)*'(, )?/ENGINE = \1(/" \
  -e 's/^ENGINE = Replicated([A-Za-z]*MergeTree)/ENGINE = \1/' "$1"
