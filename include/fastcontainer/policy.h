// Which host a replica goes to: a pure function from a host table to an order of candidates.
#ifndef FASTCONTAINER_POLICY_H_
#define FASTCONTAINER_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"

namespace fastcontainer {

// Bits of HostTable::flags.
enum HostFlag : uint32_t {
  kHostAdminUp = 1u << 0,      // may get new containers
  kHostReachable = 1u << 1,    // not known to be down; unknown counts as reachable
  kHostFresh = 1u << 2,        // known to be up within the freshness window
  kHostOverloaded = 1u << 3,   // no new starts here if there is another
  kHostServiceDown = 1u << 4,  // the machine answers, its dispatcher does not
};

// What the columns of a table are in.
struct ColumnMemory {
  virtual ~ColumnMemory() = default;
  bool kept = false;  // nothing is written into it any more. The router's thread
};

// Column-wise; every column has `size` entries, row i is one host. Valid during the call only.
struct HostTable {
  size_t size = 0;
  const uint64_t* id_hash = nullptr;  // XXH3-64 of the host's id
  const std::string_view* id = nullptr;
  const std::string_view* zone = nullptr;  // label "zone", "" if none
  const uint32_t* flags = nullptr;         // HostFlag
  const float* free_cpu = nullptr;         // cores, as last reported; +inf if never
  const double* free_memory = nullptr;     // bytes, as last reported; +inf if never
  const uint32_t* running = nullptr;       // containers, as last reported
  const uint32_t* starting = nullptr;
  const uint32_t* in_flight = nullptr;  // this process's open tickets there
  const float* response_ms = nullptr;   // this process's moving average, 0 if none
  const float* error_rate = nullptr;    // 0..1, this process's moving average
  const float* rtt_ms = nullptr;        // 0 if never probed
  const float* report_age_s = nullptr;  // age of the load report; +inf if never
  // Who marks it as kept, within the call, and holds it has the columns of numbers, as they are, for so long;
  // any thread may let go of it. Null: they end with the call.
  std::shared_ptr<ColumnMemory> memory;
  uint64_t rows = 0;  // another number where the rows are other hosts than before; 0: may be any time
};

// Keeps the columns for longer than a call. Its table stays the same; any thread.
class HostTableCopy {
 public:
  explicit HostTableCopy(const HostTable& hosts);
  HostTableCopy(const HostTableCopy&) = delete;
  HostTableCopy& operator=(const HostTableCopy&) = delete;

  const HostTable& table() const { return table_; }

 private:
  std::string text_;  // ids and zones
  std::vector<std::string_view> id_, zone_;
  std::vector<uint64_t> id_hash_;
  std::vector<uint32_t> flags_, running_, starting_, in_flight_;
  std::vector<float> free_cpu_, response_ms_, error_rate_, rtt_ms_, report_age_s_;
  std::vector<double> free_memory_;
  HostTable table_;
};

struct PlacementRequest {
  std::string_view container;
  uint64_t container_hash = 0;  // XXH3-64 of the container's id
  uint32_t replica = 0;
  double cpu = 0;  // limits of the spec; 0: none
  double memory = 0;
  std::string_view avoid_host;  // the host that is being left, "" if none; never to be returned
  std::string_view class_name;  // of the spec, "" if none
};

class Policy {
 public:
  virtual ~Policy() = default;
  // As an answer: a score table or the built-in policy is to choose, as if there were no other.
  static constexpr size_t kDeclined = static_cast<size_t>(-2);
  // Fills `candidates` with rows of `hosts`, best first, each at most once, and returns how many. 0: no host
  // fits.
  virtual size_t Place(const PlacementRequest& request, const HostTable& hosts,
                       absl::Span<uint32_t> candidates) = 0;
};

// The default. Every host that fits is ordered by XXH3(container, host): eight keyed choices first, those
// that are not overloaded and fit before the rest; the same container sees the same order everywhere,
// different containers spread. At most candidates.size() rows.
class KeyedChoices final : public Policy {
 public:
  size_t Place(const PlacementRequest& request, const HostTable& hosts,
               absl::Span<uint32_t> candidates) override;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_POLICY_H_
