// The numbers of an engine, in the style of Prometheus: one table for the router, one for the dispatchers.
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "lib/engine/engine_core.h"

namespace fastcontainer {
namespace {

struct RouterStat {
  const char* name;
  const char* labels;
  const char* help;
  bool counter;
  uint64_t RouterStats::*value;
};

constexpr RouterStat kRouterStats[] = {
    {"fastcontainer_routes_total", "", "Calls of fc_route and fc_ticket_retry.", true, &RouterStats::routes},
    {"fastcontainer_tickets_total", "reason=\"lease\"", "Tickets given out, by what made the route.", true,
     &RouterStats::warm},
    {"fastcontainer_tickets_total", "reason=\"acquired\"", "", true, &RouterStats::acquired},
    {"fastcontainer_tickets_total", "reason=\"started\"", "", true, &RouterStats::started},
    {"fastcontainer_tickets_total", "reason=\"relocated\"", "", true, &RouterStats::relocated},
    {"fastcontainer_tickets_total", "reason=\"placed\"", "", true, &RouterStats::placed},
    {"fastcontainer_route_errors_total", "error=\"unknown_key\"", "Routes that got no ticket.", true,
     &RouterStats::unknown_key},
    {"fastcontainer_route_errors_total", "error=\"queue_full\"", "", true, &RouterStats::queue_full},
    {"fastcontainer_route_errors_total", "error=\"timeout\"", "", true, &RouterStats::timeouts},
    {"fastcontainer_route_errors_total", "error=\"failed\"", "", true, &RouterStats::failed},
    {"fastcontainer_route_errors_total", "error=\"cancelled\"", "", true, &RouterStats::cancelled},
    {"fastcontainer_probes_total", "", "Checks of hosts.", true, &RouterStats::probes},
    {"fastcontainer_verdicts_total", "verdict=\"up\"", "Verdicts on hosts.", true, &RouterStats::verdict_up},
    {"fastcontainer_verdicts_total", "verdict=\"down\"", "", true, &RouterStats::verdict_down},
    {"fastcontainer_verdicts_total", "verdict=\"service_down\"", "", true,
     &RouterStats::verdict_service_down},
    {"fastcontainer_verdicts_total", "verdict=\"local_fault\"", "", true, &RouterStats::local_faults},
    {"fastcontainer_swaps_total", "outcome=\"won\"", "Compare-and-sets of placements, by outcome.", true,
     &RouterStats::swaps_won},
    {"fastcontainer_swaps_total", "outcome=\"conflict\"", "", true, &RouterStats::swaps_conflict},
    {"fastcontainer_swaps_total", "outcome=\"unknown\"", "", true, &RouterStats::swaps_unknown},
    {"fastcontainer_swaps_total", "outcome=\"unavailable\"", "", true, &RouterStats::swaps_unavailable},
    {"fastcontainer_relocations_total", "", "Replicas moved to another host.", true,
     &RouterStats::relocations},
    {"fastcontainer_peer_probes_total", "", "Questions to peers about silent hosts.", true,
     &RouterStats::peer_probes},
    {"fastcontainer_peer_vetoes_total", "", "Relocations refused because a peer reaches the host.", true,
     &RouterStats::peer_vetoes},
    {"fastcontainer_prepares_total", "", "PREPARE messages to the next host, on suspicion.", true,
     &RouterStats::prepares},
    {"fastcontainer_relocations_refused_total", "cause=\"budget\"", "Relocations that were not allowed.",
     true, &RouterStats::budget_refused},
    {"fastcontainer_relocations_refused_total", "cause=\"isolated\"", "", true, &RouterStats::isolated},
    {"fastcontainer_relocations_refused_total", "cause=\"veto\"", "", true, &RouterStats::vetoes},
    {"fastcontainer_policy_fallbacks_total", "", "Answers of the policy that could not be used.", true,
     &RouterStats::policy_fallbacks},
    {"fastcontainer_orders_total", "by=\"policy\"",
     "Times that hosts were ordered for a container, by what decided and why no score table did.", true,
     &RouterStats::by_policy},
    {"fastcontainer_orders_total", "by=\"scores\"", "", true, &RouterStats::by_scores},
    {"fastcontainer_orders_total", "by=\"built-in\",scores=\"missing\"", "", true,
     &RouterStats::scores_missing},
    {"fastcontainer_orders_total", "by=\"built-in\",scores=\"old\"", "", true, &RouterStats::scores_old},
    {"fastcontainer_orders_total", "by=\"built-in\",scores=\"undecodable\"", "", true,
     &RouterStats::scores_undecodable},
    {"fastcontainer_retries_total", "", "Requests sent again.", true, &RouterStats::retries},
    {"fastcontainer_retries_unsafe_total", "", "Requests that were not safe to send again.", true,
     &RouterStats::unsafe},
    {"fastcontainer_tickets_lost_total", "", "Open tickets whose host or container was lost.", true,
     &RouterStats::lost_tickets},
    {"fastcontainer_datagrams_refused_total", "cause=\"bad_mac\"",
     "Datagrams at the dispatch port that were not taken.", true, &RouterStats::bad_mac},
    {"fastcontainer_datagrams_refused_total", "cause=\"replayed\"", "", true, &RouterStats::replayed},
    {"fastcontainer_datagrams_refused_total", "cause=\"malformed\"", "", true, &RouterStats::malformed},
    {"fastcontainer_datagrams_second_key_total", "",
     "Datagrams sealed with the cluster key file's second key.", true, &RouterStats::second_key},
    {"fastcontainer_tickets_open", "", "Requests in flight.", false, &RouterStats::open_tickets},
    {"fastcontainer_requests_waiting", "", "Requests that wait for a route.", false, &RouterStats::waiting},
    {"fastcontainer_leases", "", "Leases in hand.", false, &RouterStats::leases},
    {"fastcontainer_hosts", "", "Hosts in the CMDB.", false, &RouterStats::hosts},
    {"fastcontainer_hosts_down", "", "Hosts that are believed to be down.", false, &RouterStats::hosts_down},
    {"fastcontainer_hosts_overloaded", "", "Hosts whose latest report says that they are overloaded.", false,
     &RouterStats::hosts_overloaded},
    {"fastcontainer_containers_cached", "", "Containers in use.", false, &RouterStats::containers},
    {"fastcontainer_keys_cached", "", "Keys in use.", false, &RouterStats::keys},
    {"fastcontainer_cache_parts", "state=\"fresh\"",
     "Parts of the cache (hosts, classes, score tables, shards of keys, specs and placements), by state.",
     false, &RouterStats::cache_fresh},
    {"fastcontainer_cache_parts", "state=\"stale\"", "", false, &RouterStats::cache_stale},
    {"fastcontainer_cache_parts", "state=\"last-known-good\"", "", false,
     &RouterStats::cache_last_known_good},
    {"fastcontainer_cache_parts", "state=\"loading\"", "", false, &RouterStats::cache_loading},
    {"fastcontainer_cache_errors_total", "", "Listings of the CMDB that failed.", true,
     &RouterStats::cache_errors},
    {"fastcontainer_cache_records_refused_total", "", "Records that made no sense and replaced no good one.",
     true, &RouterStats::records_refused},
    {"fastcontainer_cache_snapshots_total", "outcome=\"written\"", "Snapshots of the cache.", true,
     &RouterStats::snapshots_written},
    {"fastcontainer_cache_snapshots_total", "outcome=\"failed\"", "", true, &RouterStats::snapshots_failed},
};

struct DispatcherStat {
  const char* name;
  const char* help;
  bool counter;
  uint64_t (*value)(const Dispatcher::Stats&);
};

constexpr DispatcherStat kDispatcherStats[] = {
    {"fastcontainer_starts_total", "Containers started.", true, [](const auto& s) { return s.starts; }},
    {"fastcontainer_start_failures_total", "Starts that failed.", true,
     [](const auto& s) { return s.start_failures; }},
    {"fastcontainer_stops_total", "Containers stopped.", true, [](const auto& s) { return s.stops; }},
    {"fastcontainer_idle_stops_total", "Containers stopped because nobody needed them.", true,
     [](const auto& s) { return s.idle_stops; }},
    {"fastcontainer_life_stops_total", "Containers stopped at the end of their fixed life.", true,
     [](const auto& s) { return s.life_stops; }},
    {"fastcontainer_exits_total", "Containers that ended by themselves.", true,
     [](const auto& s) { return s.exits; }},
    {"fastcontainer_adopted_total", "Containers taken over from an earlier incarnation.", true,
     [](const auto& s) { return s.adopted; }},
    {"fastcontainer_grants_total", "GRANT messages.", true, [](const auto& s) { return s.grants; }},
    {"fastcontainer_waits_total", "WAIT messages.", true, [](const auto& s) { return s.waits; }},
    {"fastcontainer_moved_total", "MOVED messages.", true, [](const auto& s) { return s.moved; }},
    {"fastcontainer_full_total", "FULL messages.", true, [](const auto& s) { return s.full; }},
    {"fastcontainer_failed_total", "FAILED messages.", true, [](const auto& s) { return s.failed; }},
    {"fastcontainer_revokes_total", "REVOKE messages.", true, [](const auto& s) { return s.revokes; }},
    {"fastcontainer_echoes_total", "ECHO messages answered.", true, [](const auto& s) { return s.echoes; }},
    {"fastcontainer_prepared_total", "Containers started by a PREPARE.", true,
     [](const auto& s) { return s.prepared; }},
    {"fastcontainer_prepared_used_total", "Of these, placed here afterwards.", true,
     [](const auto& s) { return s.prepared_used; }},
    {"fastcontainer_leases_expired_total", "Leases that ran out.", true,
     [](const auto& s) { return s.leases_expired; }},
    {"fastcontainer_containers_running", "Containers that run.", false,
     [](const auto& s) -> uint64_t { return s.running; }},
    {"fastcontainer_containers_starting", "Containers that start.", false,
     [](const auto& s) -> uint64_t { return s.starting; }},
    {"fastcontainer_containers_stopping", "Containers that stop.", false,
     [](const auto& s) -> uint64_t { return s.stopping; }},
    {"fastcontainer_leases_granted", "Leases that are valid.", false,
     [](const auto& s) -> uint64_t { return s.leases; }},
};

double Seconds(uint64_t nanos) { return static_cast<double>(nanos) / 1e9; }

// The exposition format's escapes for a label's value.
std::string HostLabel(std::string_view host) {
  return absl::StrCat("host=\"",
                      absl::StrReplaceAll(std::string(host), {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}}),
                      "\"");
}

void ForEachRouterStat(const RouterStats& stats, const std::function<void(const Stat&)>& callback) {
  for (const RouterStat& row : kRouterStats)
    callback(Stat{row.counter, row.name, row.labels, row.help, static_cast<double>(stats.*row.value)});
  callback(Stat{false, "fastcontainer_cache_age_seconds", "state=\"stale\"",
                "Age of the oldest part of the cache in this state; 0: there is none.",
                Seconds(static_cast<uint64_t>(stats.cache_stale_age))});
  callback(Stat{false, "fastcontainer_cache_age_seconds", "state=\"last-known-good\"", "",
                Seconds(static_cast<uint64_t>(stats.cache_last_known_good_age))});
}

}  // namespace

void Engine::ForEachStat(const std::function<void(const Stat&)>& callback) const {
  if (core_->router != nullptr) ForEachRouterStat(core_->router->Stats(), callback);
  callback(Stat{true, "fastcontainer_cmdb_reads_total", "", "Records and listings asked of the CMDB.",
                static_cast<double>(core_->cmdb->reads())});
  callback(Stat{false, "fastcontainer_icmp_permitted", "", "1 if hosts can be probed by ICMP.",
                core_->prober->mechanism() == ProbeMechanism::kNone ? 0.0 : 1.0});
  for (const DispatcherStat& row : kDispatcherStats) {
    for (const auto& dispatcher : core_->dispatchers) {
      const Dispatcher* bound = dispatcher->core().dispatcher();
      if (bound == nullptr) continue;
      const std::string labels = HostLabel(dispatcher->host());
      callback(Stat{row.counter, row.name, labels, row.help, static_cast<double>(row.value(bound->stats()))});
    }
  }
  for (const auto& dispatcher : core_->dispatchers) {
    const Dispatcher* bound = dispatcher->core().dispatcher();
    if (bound == nullptr) continue;
    const std::string labels = HostLabel(dispatcher->host());
    callback(Stat{true, "fastcontainer_busy_seconds_total", labels,
                  "Time of tickets, as the routers reported it.", Seconds(bound->stats().busy_ns)});
  }
}

}  // namespace fastcontainer
