#!/usr/bin/env bash
# Builds the maze dataset, trains four policies on it, scores them in the simulator and prints the table.
#
#   bash recipes/maze/quickstart.sh                      # fully observed
#   bash recipes/maze/quickstart.sh partially_observed
#
# A step that is done is skipped when the script is run again; a change to its recipe does it again.
set -euo pipefail
cd "$(dirname "$0")/../.."
export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false TRL_EXPERIMENTAL_SILENCE=1 PYTHONWARNINGS=ignore

config="${1:-fully_observed}"
case "$config" in
  fully_observed) recipes=recipes/maze runs=runs/maze results=results/maze report=results/maze/report ;;
  partially_observed)
    recipes=recipes/maze/partially_observed runs=runs/maze_partially_observed
    results=results/maze_partially_observed report=results/maze_partially_observed/report ;;
  *) echo "error: unknown config '$config'; choose from: fully_observed, partially_observed" >&2; exit 2 ;;
esac
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

score() {
  step "score_$1" "$runs/$1.done" lmrl-eval run --task maze --config "$config" --policy "$runs/$1" \
    --batch-size 200 --max-new-tokens 8 --out "$results/$1"
}

echo "Data"
lmrl-data build maze --num-proc 2
echo "Model"
step base recipes/tiny_model.py python recipes/tiny_model.py --dataset_name lmrl/maze --dataset_config "$config" \
  --size tiny --output_dir "$runs/base"
echo "Training: two at a time, one thread each"
if [[ "$config" == fully_observed ]]; then
  step bc "$recipes/bc.yaml $runs/base.done" trl sft --config "$recipes/bc.yaml" &
else
  step bc "$recipes/bc.yaml $runs/base.done" python recipes/filtered_bc.py --config "$recipes/bc.yaml" &
fi
step filtered_bc "$recipes/filtered_bc.yaml $runs/base.done" python recipes/filtered_bc.py --config "$recipes/filtered_bc.yaml" &
both
step mc "$recipes/mc.yaml $runs/bc.done" python recipes/mc.py --config "$recipes/mc.yaml" &
step ilql "$recipes/ilql.yaml $runs/bc.done" python recipes/ilql.py --config "$recipes/ilql.yaml" &
both
echo "Scores: 32 episodes from each of the 25 starts"
{ score bc && score mc; } &
{ score filtered_bc && score ilql; } &
both
lmrl-eval report "$results"/{bc,filtered_bc,mc,ilql} --out "$report"
