#include <xxhash.h>

#include <algorithm>
#include <array>

#include "fastcontainer/policy.h"

namespace fastcontainer {
namespace {

// Eight give what a full rendezvous order gives in practice, at a cost that does not grow with the fleet.
constexpr size_t kChoices = 8;
// Distinct rows are drawn by rejection; nine rows, the worst case, need about 17 draws. Whoever misses a
// choice for want of draws still finds the row in the scan.
constexpr uint64_t kMaxDraws = 64;

class Choices {
 public:
  Choices(const PlacementRequest& request, const HostTable& hosts) : request_(request), hosts_(hosts) {
    if (hosts.size <= kChoices)
      OrderAll();
    else
      Draw();
  }

  size_t Fill(absl::Span<uint32_t> out) const {
    size_t count = 0;
    for (const bool overloaded : {false, true}) {
      for (size_t i = 0; i < size_ && count < out.size(); ++i)
        if (Fits(rows_[i], overloaded)) out[count++] = rows_[i];
      count = Scan(overloaded, out, count);
    }
    return count;
  }

 private:
  uint64_t Hash(uint64_t what) const {
    const std::array<uint64_t, 3> input = {request_.container_hash, request_.replica, what};
    return XXH3_64bits(input.data(), sizeof(input));
  }

  void OrderAll() {
    std::array<uint64_t, kChoices> score{};
    for (; size_ < hosts_.size; ++size_) {
      rows_[size_] = static_cast<uint32_t>(size_);
      score[size_] = Hash(hosts_.id_hash[size_]);
    }
    std::sort(rows_.begin(), rows_.begin() + static_cast<ptrdiff_t>(size_),
              [&](uint32_t a, uint32_t b) { return score[a] != score[b] ? score[a] > score[b] : a < b; });
  }

  // Rows come sorted by id, so that equal host sets give equal draws in every process.
  void Draw() {
    for (uint64_t i = 0; i < kMaxDraws && size_ < kChoices; ++i) {
      const auto row = static_cast<uint32_t>(Hash(i) % hosts_.size);
      if (!Chosen(row)) rows_[size_++] = row;
    }
  }

  bool Chosen(uint32_t row) const {
    return std::find(rows_.begin(), rows_.begin() + static_cast<ptrdiff_t>(size_), row) !=
           rows_.begin() + static_cast<ptrdiff_t>(size_);
  }

  bool Fits(uint32_t row, bool overloaded) const {
    const uint32_t flags = hosts_.flags[row];
    constexpr uint32_t kNeeded = kHostAdminUp | kHostReachable;
    if ((flags & kNeeded) != kNeeded || (flags & kHostServiceDown) != 0) return false;
    if (((flags & kHostOverloaded) != 0) != overloaded) return false;
    // Compared as float, as it was reported: 0.7 is not less than 0.7f.
    if (request_.cpu > 0 && !(hosts_.free_cpu[row] >= static_cast<float>(request_.cpu))) return false;
    if (request_.memory > 0 && !(hosts_.free_memory[row] >= request_.memory)) return false;
    return request_.avoid_host.empty() || hosts_.id[row] != request_.avoid_host;
  }

  // The rest of the table from a keyed start on; it ends as soon as `out` is full, so that a table where most
  // hosts fit is hardly looked at.
  size_t Scan(bool overloaded, absl::Span<uint32_t> out, size_t count) const {
    if (hosts_.size <= kChoices || count == out.size()) return count;
    const size_t start = Hash(kMaxDraws) % hosts_.size;
    for (size_t i = 0; i < hosts_.size && count < out.size(); ++i) {
      const auto row = static_cast<uint32_t>(start + i < hosts_.size ? start + i : start + i - hosts_.size);
      if (Fits(row, overloaded) && !Chosen(row)) out[count++] = row;
    }
    return count;
  }

  const PlacementRequest& request_;
  const HostTable& hosts_;
  std::array<uint32_t, kChoices> rows_{};
  size_t size_ = 0;
};

}  // namespace

size_t KeyedChoices::Place(const PlacementRequest& request, const HostTable& hosts,
                           absl::Span<uint32_t> candidates) {
  if (hosts.size == 0 || candidates.empty()) return 0;
  return Choices(request, hosts).Fill(candidates);
}

}  // namespace fastcontainer
