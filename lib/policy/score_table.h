// Placement by scores that were found elsewhere: what a policy that is not in this process says of each host.
#ifndef FASTCONTAINER_LIB_POLICY_SCORE_TABLE_H_
#define FASTCONTAINER_LIB_POLICY_SCORE_TABLE_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "fastcontainer/policy.h"

namespace fastcontainer {

// Hosts by falling score, those of one score in the built-in policy's order, and then those without a score
// in that order; a host whose score is NaN or -infinity never. Those that are overloaded come after all
// others, as always. The rows are sorted when they are first asked about, and again when they are other
// hosts: a placement then looks at hardly more rows than it returns.
class ScoreTable final : public Policy {
 public:
  explicit ScoreTable(size_t size) { scores_.reserve(size); }
  // False: it has that host already.
  bool Add(std::string_view host, double score);

  size_t Place(const PlacementRequest& request, const HostTable& hosts,
               absl::Span<uint32_t> candidates) override;

 private:
  void Sort(const HostTable& hosts);
  size_t Fill(const PlacementRequest& request, const HostTable& hosts, bool overloaded,
              absl::Span<uint32_t> candidates, size_t count) const;

  absl::flat_hash_map<uint64_t, double> scores_;  // by XXH3-64 of the host's id
  std::vector<uint32_t> order_;                   // rows, the best first
  std::vector<uint32_t> ends_;                    // of each run of equal scores in it
  uint64_t sorted_for_ = 0;                       // HostTable::rows
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_POLICY_SCORE_TABLE_H_
