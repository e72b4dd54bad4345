#!/usr/bin/env bash
# Builds a task's dataset, trains policies on it and (in the maze) in the simulator, scores them and prints the table.
#
#   bash recipes/quickstart.sh maze
#   bash recipes/quickstart.sh maze partially_observed
#   bash recipes/quickstart.sh wordle
#
# A step that is done is skipped when the script is run again; a change to its recipe does it again.
set -euo pipefail
cd "$(dirname "$0")/.."
export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false TRL_EXPERIMENTAL_SILENCE=1 PYTHONWARNINGS=ignore

# What differs between tasks: how much data, what of it the tokenizer is made from, the model's size, and how to score.
task="${1:-maze}" name="${1:-maze}" data=() split="train[:2000]" size=deep vocab=512 online=()
case "$task ${2:-}" in
  "maze " | "maze fully_observed")
    config=fully_observed size=tiny split=train score=(--batch-size 200 --max-new-tokens 8)
    online=(ppo online_filtered_bc grpo)
    ;;
  "maze partially_observed")
    config=partially_observed name=maze_partially_observed size=tiny split=train score=(--batch-size 200 --max-new-tokens 8)
    ;;
  "text_nav " | "text_nav fully_observed")
    config=fully_observed size=tiny split=train score=(--batch-size 256 --max-new-tokens 12)
    ;;
  "wordle " | "wordle words_400") config=words_400 score=(--batch-size 256 --max-new-tokens 12) ;;
  "endgames " | "endgames standard")
    config=standard data=(--episodes 24000) score=(--batch-size 215 --max-new-tokens 12)
    ;;
  "chess " | "chess standard")
    config=standard data=(--episodes 2000) score=(--episodes 64 --max-new-tokens 12)
    ;;
  "twenty_questions " | "twenty_questions standard")
    config=standard size=small vocab=2048 score=(--batch-size 158 --max-new-tokens 24)
    ;;
  "guess_my_city " | "guess_my_city standard")
    config=standard size=small vocab=2048 score=(--batch-size 200 --max-new-tokens 24)
    ;;
  "car_dealer " | "car_dealer revenue") config=revenue size=small vocab=2048 score=(--batch-size 256 --max-new-tokens 48) ;;
  *)
    echo "error: no quickstart for '$*'; choose from: maze [partially_observed], text_nav, wordle, endgames, chess," \
      "twenty_questions, guess_my_city, car_dealer" >&2
    exit 2
    ;;
esac
recipes="recipes/${name/#"${task}_"/"$task/"}" runs="runs/$name" results="results/$name"
mkdir -p "$runs"

# step NAME "SOURCES" COMMAND...: runs the command unless it was done since its sources changed; shows the log if it fails.
step() {
  local name="$1" sources="$2" done="$runs/$1.done" log="$runs/$1.log" source fresh=1
  shift 2
  for source in $sources; do
    [[ -e "$done" && ! "$source" -nt "$done" ]] || fresh=0
  done
  if ((fresh)); then
    echo "  $name: done before"
    return
  fi
  local start=$SECONDS
  if ! "$@" >"$log" 2>&1; then
    echo "error: $name failed; the end of $log:" >&2
    tail -n 15 "$log" >&2
    return 1
  fi
  touch "$done"
  echo "  $name: $((SECONDS - start)) s"
}
trap 'trap - INT TERM; kill 0' INT TERM

# Waits for background steps and fails if one of them did.
both() {
  local failed=0 job
  for job in $(jobs -p); do wait "$job" || failed=1; done
  return $failed
}

# train ALGORITHM AFTER: launches a recipe as its first line says, once the step it starts from is done.
train() {
  local command
  read -ra command < <(sed -n '1s/^# //p' "$recipes/$1.yaml")
  step "$1" "$recipes/$1.yaml $runs/$2.done" "${command[@]}"
}

score() {
  step "score_$1" "$runs/$1.done" lmrl-eval run --task "$task" --config "$config" --policy "$runs/$1" \
    "${score[@]}" --out "$results/$1"
}

echo "Data"
lmrl-data build "$task" --config "$config" "${data[@]}" --num-proc 2
echo "Model"
step base recipes/tiny_model.py python recipes/tiny_model.py --dataset_name "lmrl/$task" --dataset_config "$config" \
  --dataset_split "$split" --size "$size" --vocab_size "$vocab" --output_dir "$runs/base"
echo "Training: two at a time, one thread each"
train bc base &
train filtered_bc base &
both
train mc bc &
train ilql bc &
both
# in_turn COMMAND ALGORITHM...: the command for one algorithm after the other.
in_turn() {
  local command="$1" algorithm
  shift
  for algorithm in "$@"; do "$command" "$algorithm" || return 1; done
}
from_bc() { train "$1" bc; }
in_turn from_bc "${online[@]:0:1}" &
in_turn from_bc "${online[@]:1}" &
both
echo "Scores"
in_turn score bc mc "${online[@]:0:1}" &
in_turn score filtered_bc ilql "${online[@]:1}" &
both
lmrl-eval report "$results"/{bc,filtered_bc,mc,ilql} "${online[@]/#/"$results/"}" --out "$results/report"
if ((${#online[@]})); then
  lmrl-eval report --curves "${online[@]/#/"$runs/"}" --out "$results/curves"
fi
