#include "benchmarks/probe_drive.h"

#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "benchmarks/probe_lab.h"

void Report::Print() const {
  nlohmann::json out = figures_;
  if (!skipped_.empty()) out = {{"skipped", skipped_}};
  std::puts(out.dump().c_str());
}

int64_t Percentile(std::vector<int64_t>* values, double share) {
  if (values->empty()) return 0;
  const auto rank = static_cast<size_t>(share * static_cast<double>(values->size()));
  const auto at = values->begin() + static_cast<std::ptrdiff_t>(std::min(rank, values->size() - 1));
  std::nth_element(values->begin(), at, values->end());
  return *at;
}

Prober::Prober(uint32_t mechanism) {
  fc_prober_options options{};
  options.struct_size = sizeof(options);
  options.mechanism = mechanism;
  fc_prober_create(&prober_, &options, &error_);
}

fc_probe_result Prober::Ask(const sockaddr_in& to, const fc_probe_options& options) {
  fc_probe_result out{};
  const fc_probe_cb take = [](void* user_data, const fc_probe_result* result) {
    *static_cast<fc_probe_result*>(user_data) = *result;
  };
  if (fc_prober_probe(prober_, reinterpret_cast<const sockaddr*>(&to), sizeof(to), &options, take, &out,
                      nullptr) < 0) {
    out.verdict = FC_VERDICT_LOCAL_FAULT;
    return out;
  }
  while (out.struct_size == 0) Turn();
  return out;
}

void Prober::Turn(int64_t limit) {
  const uint64_t deadline = fc_prober_deadline(prober_);
  const int64_t until = deadline < static_cast<uint64_t>(limit) ? static_cast<int64_t>(deadline) : limit;
  const int64_t wait = std::max(until - lab::Now(), int64_t{0});
  const timespec timeout = {wait / lab::kSecond, wait % lab::kSecond};
  pollfd fd = {fc_prober_fd(prober_), POLLIN, 0};
  ppoll(&fd, 1, until == INT64_MAX ? nullptr : &timeout, nullptr);
  fc_prober_process(prober_);
}

fc_probe_options Options(int64_t deadline, int64_t hedge, int64_t second_hedge) {
  fc_probe_options options;
  fc_probe_options_init(&options);
  options.deadline_ns = static_cast<uint64_t>(deadline);
  options.hedge_ns[0] = static_cast<uint64_t>(hedge);
  options.hedge_ns[1] = static_cast<uint64_t>(second_hedge);
  return options;
}

int64_t Number(const Arguments& arguments, const std::string& name, int64_t otherwise) {
  const auto found = arguments.find(name);
  return found == arguments.end() ? otherwise : std::atoll(found->second.c_str());
}
