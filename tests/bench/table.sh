# shellcheck shell=bash disable=SC2154,SC2034,SC2016  # variables that run.sh and its other files share; awk's $
# Sourced by run.sh: medians and tables from the lines in $runs.
#
#   print_report   a table for each link and scenario, then what kind of copy each way makes
#   print_json     one document with every run

columns='link scenario way round wall client_cpu server_cpu received sent own_received own_sent hold agent_cpu
  agent_peak client_peak written'

# Puts the columns' numbers into awk variables of their names: $wall is then that field.
with_columns() {  # AWK ARGUMENTS...: the program last
  local name number=0 numbers=()
  for name in $columns; do numbers+=(-v "$name=$((++number))"); done
  awk -F'\t' "${numbers[@]}" "$@" "$runs"
}

median_functions='
# What is not known takes no part; of an even number of values, the mean of the two in the middle.
function add(what, value) { if (value != "-") values[what] = values[what] " " value }
function median(what,   n, i, j, t, v) {
  n = split(values[what], v, " ")
  if (n == 0) return "-"
  for (i = 2; i <= n; ++i)
    for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; --j) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
  return n % 2 ? v[(n + 1) / 2] + 0 : (v[n / 2] + v[n / 2 + 1]) / 2
}
function scaled(value, divisor, format) { return value == "-" ? "-" : sprintf(format, value / divisor) }
function ratio(value, base) { return value == "-" || base == "-" || !base ? "-" : sprintf("%.2f", value / base) }
'

print_table() {  # LINK SCENARIO
  with_columns -v link_name="$1" -v scenario_name="$2" "$median_functions"'
    FNR == NR { label[$1] = $2; next }
    $link != link_name || $scenario != scenario_name { next }
    !($way in seen) { seen[$way] = 1; order[++ways] = $way }
    {
      add($way "wall", $wall); add($way "own_received", $own_received); add($way "own_sent", $own_sent)
      add($way "received", $received); add($way "sent", $sent); add($way "hold", $hold)
      add($way "client_peak", $client_peak); add($way "agent_peak", $agent_peak)
    }
    $round == 0 { next }  # the watching took processor time of its own
    {
      add($way "client_cpu", $client_cpu); add($way "server_cpu", $server_cpu)
      rounds[$way] = rounds[$way] sprintf(" %.3f", $wall / 1000)
    }
    function bytes(of, direction,   counted) {
      counted = median(of direction)
      return scaled(counted == "-" ? median(of "own_" direction) : counted, 1e6, "%.3f")
    }
    END {
      layout = "%-22s %8s %7s %7s %7s %7s %9s %8s %7s %7s %7s\n"
      printf layout, "", "wall", "of ssh", "of sql", "client", "server", "received", "sent", "client", "agent",
        "hold"
      printf layout, "way", "s", "cat", "_rsync", "CPU s", "CPU s", "MB", "MB", "MiB", "MiB", "s"
      for (i = 1; i <= ways; ++i) {
        w = order[i]
        wall_ms = median(w "wall")
        printf layout, label[w], scaled(wall_ms, 1000, "%.3f"), ratio(wall_ms, median("ssh-catwall")),
          ratio(wall_ms, median("sqlite3_rsyncwall")), scaled(median(w "client_cpu"), 1000, "%.2f"),
          scaled(median(w "server_cpu"), 1000, "%.2f"), bytes(w, "received"), bytes(w, "sent"),
          scaled(median(w "client_peak"), 1048576, "%.1f"), scaled(median(w "agent_peak"), 1048576, "%.1f"),
          scaled(median(w "hold"), 1, "%.3f")
      }
      print "all rounds, s"
      for (i = 1; i <= ways; ++i) printf "  %-22s%s\n", label[order[i]], rounds[order[i]]
      best = "-"
      for (i = 1; i <= ways; ++i) {
        if (order[i] !~ /^litepull-level/) continue
        wall_ms = median(order[i] "wall")
        if (best == "-" || wall_ms < best) { best = wall_ms; best_label = label[order[i]] }
      }
      if (best != "-")
        printf "automatic / best fixed (%s): %s\n", best_label, ratio(median("litepullwall"), best)
    }' "$work/labels.tsv"
}

print_copies() {
  local way most
  printf '%-22s %-16s %s\n' way "consistent copy" "written on the server, bytes"
  for way in "${measured[@]}"; do
    most=$(with_columns -v name="$way" '$way == name && $written > most { most = $written }
      END { printf "%.0f", most }')
    printf '%-22s %-16s %s\n' "$(label_of "$way")" "$(consistency_of "$way")" "$most"
  done
}

print_report() {
  local way link scenario measured
  mapfile -t measured < <(cut -f 3 "$runs" | awk '!seen[$0]++')
  for way in "${measured[@]}"; do printf '%s\t%s\n' "$way" "$(label_of "$way")"; done >"$work/labels.tsv"
  echo "$(nproc) cores, Linux $(uname -r); agent $(stat -c %s "$bin/litepull-agent") bytes on disk"
  [ ${#not_found[@]} -eq 0 ] || echo "not found: ${not_found[*]}"
  for link in "${links[@]}"; do
    for scenario in "${scenarios[@]}"; do
      echo
      echo "$scenario, $link: $(stat -c %s "$work/source/$(source_of "$scenario")/bench.sqlite3") bytes, median of" \
        "$(rounds_of "$scenario") rounds"
      print_table "$link" "$scenario"
    done
  done
  echo
  print_copies
  print_legend
}

print_legend() {
  echo
  if can_make_links; then
    echo "Received and sent: on the client's interface, with all headers."
  else
    echo "Received and sent: as ssh or litepull counts them; there are no network namespaces here."
  fi
  echo "Memory: the sum of the peaks of the client's processes; the agent's peak; loopback only."
  echo "Hold: how long litepull's read transaction was open."
}

print_json() {
  printf '{"size_bytes": %s, "cores": %s, "agent_bytes": %s, "runs": [' \
    "$size" "$(nproc)" "$(stat -c %s "$bin/litepull-agent")"
  with_columns '
    function number(name, value) { printf ", \"%s\": %s", name, value == "-" ? "null" : value }
    function seconds(name, ms) { number(name, ms == "-" ? ms : sprintf("%.3f", ms / 1000)) }
    {
      printf "%s\n  {\"link\": \"%s\", ", (NR > 1 ? "," : ""), $link
      printf "\"scenario\": \"%s\", \"way\": \"%s\"", $scenario, $way
      number("round", $round); seconds("wall_s", $wall)
      seconds("client_cpu_s", $client_cpu); seconds("server_cpu_s", $server_cpu)
      number("link_received_bytes", $received); number("link_sent_bytes", $sent)
      number("own_received_bytes", $own_received); number("own_sent_bytes", $own_sent)
      number("hold_s", $hold); number("agent_cpu_s", $agent_cpu); number("agent_peak_bytes", $agent_peak)
      number("client_peak_bytes", $client_peak); number("server_written_bytes", $written)
      printf "}"
    }'
  printf '\n]}\n'
}
