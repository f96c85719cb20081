#include "lib/policy/score_table.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "lib/policy/keyed_order.h"

namespace fastcontainer {

bool ScoreTable::Add(std::string_view host, double score) {
  return scores_.emplace(XXH3_64bits(host.data(), host.size()), score).second;
}

size_t ScoreTable::Place(const PlacementRequest& request, const HostTable& hosts,
                         absl::Span<uint32_t> candidates) {
  if (hosts.rows == 0 || hosts.rows != sorted_for_) Sort(hosts);
  const size_t count = Fill(request, hosts, /*overloaded=*/false, candidates, 0);
  return Fill(request, hosts, /*overloaded=*/true, candidates, count);
}

void ScoreTable::Sort(const HostTable& hosts) {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  std::vector<std::pair<double, uint32_t>> scored;
  std::vector<uint32_t> others;
  for (uint32_t row = 0; row < hosts.size; ++row) {
    const auto found = scores_.find(hosts.id_hash[row]);
    if (found == scores_.end())
      others.push_back(row);
    else if (!std::isnan(found->second) && found->second != kNone)
      scored.emplace_back(found->second, row);
  }
  std::sort(scored.begin(), scored.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  order_.clear();
  ends_.clear();
  for (size_t i = 0; i < scored.size(); ++i) {
    order_.push_back(scored[i].second);
    if (i + 1 == scored.size() || scored[i + 1].first != scored[i].first)
      ends_.push_back(static_cast<uint32_t>(order_.size()));
  }
  order_.insert(order_.end(), others.begin(), others.end());
  if (!others.empty()) ends_.push_back(static_cast<uint32_t>(order_.size()));
  sorted_for_ = hosts.rows;
}

size_t ScoreTable::Fill(const PlacementRequest& request, const HostTable& hosts, bool overloaded,
                        absl::Span<uint32_t> candidates, size_t count) const {
  uint32_t begin = 0;
  for (size_t i = 0; i < ends_.size() && count < candidates.size(); begin = ends_[i++]) {
    const absl::Span<const uint32_t> run = absl::MakeConstSpan(order_).subspan(begin, ends_[i] - begin);
    if (run.size() > 1)
      count = KeyedOrder(request, hosts, run).Fill(overloaded, candidates, count);
    else if (Fits(request, hosts, run[0], overloaded))
      candidates[count++] = run[0];
  }
  return count;
}

}  // namespace fastcontainer
