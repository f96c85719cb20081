#include "lib/policy/keyed_order.h"

#include <xxhash.h>

#include <algorithm>

namespace fastcontainer {
namespace {

// Distinct rows are drawn by rejection; nine rows, the worst case, need about 17 draws. Whoever misses a
// choice for want of draws still finds the row in the scan.
constexpr uint64_t kMaxDraws = 64;

}  // namespace

bool Fits(const PlacementRequest& request, const HostTable& hosts, uint32_t row, bool overloaded) {
  const uint32_t flags = hosts.flags[row];
  constexpr uint32_t kNeeded = kHostAdminUp | kHostReachable;
  if ((flags & kNeeded) != kNeeded || (flags & kHostServiceDown) != 0) return false;
  if (((flags & kHostOverloaded) != 0) != overloaded) return false;
  // Compared as float, as it was reported: 0.7 is not less than 0.7f.
  if (request.cpu > 0 && !(hosts.free_cpu[row] >= static_cast<float>(request.cpu))) return false;
  if (request.memory > 0 && !(hosts.free_memory[row] >= request.memory)) return false;
  return request.avoid_host.empty() || hosts.id[row] != request.avoid_host;
}

KeyedOrder::KeyedOrder(const PlacementRequest& request, const HostTable& hosts)
    : request_(request), hosts_(hosts), rows_(nullptr), size_(hosts.size) {
  size_ <= kChoices ? OrderAll() : Draw();
}

KeyedOrder::KeyedOrder(const PlacementRequest& request, const HostTable& hosts,
                       absl::Span<const uint32_t> rows)
    : request_(request), hosts_(hosts), rows_(rows.data()), size_(rows.size()) {
  size_ <= kChoices ? OrderAll() : Draw();
}

size_t KeyedOrder::Fill(bool overloaded, absl::Span<uint32_t> out, size_t count) const {
  for (size_t i = 0; i < chosen_size_ && count < out.size(); ++i)
    if (Fits(request_, hosts_, chosen_[i], overloaded)) out[count++] = chosen_[i];
  return Scan(overloaded, out, count);
}

uint64_t KeyedOrder::Hash(uint64_t what) const {
  const std::array<uint64_t, 3> input = {request_.container_hash, request_.replica, what};
  return XXH3_64bits(input.data(), sizeof(input));
}

void KeyedOrder::OrderAll() {
  std::array<std::pair<uint64_t, uint32_t>, kChoices> keyed{};
  for (size_t i = 0; i < size_; ++i) keyed[i] = {Hash(hosts_.id_hash[Row(i)]), Row(i)};
  std::sort(keyed.begin(), keyed.begin() + static_cast<ptrdiff_t>(size_), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  for (; chosen_size_ < size_; ++chosen_size_) chosen_[chosen_size_] = keyed[chosen_size_].second;
}

// Rows come sorted by id, so that equal host sets give equal draws in every process.
void KeyedOrder::Draw() {
  for (uint64_t i = 0; i < kMaxDraws && chosen_size_ < kChoices; ++i) {
    const uint32_t row = Row(Hash(i) % size_);
    if (!Chosen(row)) chosen_[chosen_size_++] = row;
  }
}

bool KeyedOrder::Chosen(uint32_t row) const {
  const auto end = chosen_.begin() + static_cast<ptrdiff_t>(chosen_size_);
  return std::find(chosen_.begin(), end, row) != end;
}

// The rest from a keyed start on; it ends as soon as `out` is full, so that a table where most hosts fit is
// hardly looked at.
size_t KeyedOrder::Scan(bool overloaded, absl::Span<uint32_t> out, size_t count) const {
  if (size_ <= kChoices || count == out.size()) return count;
  const size_t start = Hash(kMaxDraws) % size_;
  for (size_t i = 0; i < size_ && count < out.size(); ++i) {
    const uint32_t row = Row(start + i < size_ ? start + i : start + i - size_);
    if (Fits(request_, hosts_, row, overloaded) && !Chosen(row)) out[count++] = row;
  }
  return count;
}

}  // namespace fastcontainer
