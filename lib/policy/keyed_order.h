// Hosts in the order that a container's own key gives them, those that fit.
#ifndef FASTCONTAINER_LIB_POLICY_KEYED_ORDER_H_
#define FASTCONTAINER_LIB_POLICY_KEYED_ORDER_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "fastcontainer/policy.h"

namespace fastcontainer {

// Whether the request may be placed on the host of this row, if it is overloaded or if it is not.
bool Fits(const PlacementRequest& request, const HostTable& hosts, uint32_t row, bool overloaded);

// Of all rows of a table, or of some. Eight keyed choices first, then the others from a keyed start on: the
// same container sees the same order everywhere, different containers spread.
class KeyedOrder {
 public:
  KeyedOrder(const PlacementRequest& request, const HostTable& hosts);
  KeyedOrder(const PlacementRequest& request, const HostTable& hosts, absl::Span<const uint32_t> rows);

  // Adds to the `count` rows in `out` those that fit, as far as there is room, and returns how many there are
  // now.
  size_t Fill(bool overloaded, absl::Span<uint32_t> out, size_t count) const;

 private:
  // Eight give what a full rendezvous order gives in practice, at a cost that does not grow with the fleet.
  static constexpr size_t kChoices = 8;

  uint32_t Row(size_t i) const { return rows_ == nullptr ? static_cast<uint32_t>(i) : rows_[i]; }
  uint64_t Hash(uint64_t what) const;
  void OrderAll();
  void Draw();
  bool Chosen(uint32_t row) const;
  size_t Scan(bool overloaded, absl::Span<uint32_t> out, size_t count) const;

  const PlacementRequest& request_;
  const HostTable& hosts_;
  const uint32_t* const rows_;  // null: all
  const size_t size_;
  std::array<uint32_t, kChoices> chosen_{};
  size_t chosen_size_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_POLICY_KEYED_ORDER_H_
