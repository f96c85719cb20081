#include "fastcontainer/policy.h"
#include "lib/policy/keyed_order.h"

namespace fastcontainer {

size_t KeyedChoices::Place(const PlacementRequest& request, const HostTable& hosts,
                           absl::Span<uint32_t> candidates) {
  if (hosts.size == 0 || candidates.empty()) return 0;
  const KeyedOrder order(request, hosts);
  return order.Fill(/*overloaded=*/true, candidates, order.Fill(/*overloaded=*/false, candidates, 0));
}

}  // namespace fastcontainer
