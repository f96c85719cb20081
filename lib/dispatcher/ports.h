// Which port each container of this host listens on. A port that a lease could still name is not given to
// another container.
#ifndef FASTCONTAINER_LIB_DISPATCHER_PORTS_H_
#define FASTCONTAINER_LIB_DISPATCHER_PORTS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "fastcontainer/clock.h"

namespace fastcontainer {

class Ports {
 public:
  // `is_free` asks the machine, which knows of foreign listeners.
  Ports(uint16_t first, uint16_t last, uint64_t seed, std::function<bool(uint16_t)> is_free);

  // A port of the range; the search goes round, so that a port rests as long as it can. ResourceExhausted if
  // all are taken.
  absl::StatusOr<uint16_t> Allocate(const std::string& container, Nanos now);
  // From now on Allocate prefers one share of the range (an eighth; more of a small range), another one than
  // the incarnations just before and after this one: routers may still hold leases that earlier incarnations
  // granted and that nobody here knows of.
  void Prefer(uint64_t incarnation) { incarnation_ = incarnation; }
  // A given port, of the range or not. ResourceExhausted names who has it.
  absl::Status Take(uint16_t port, const std::string& container, Nanos now);
  // The container is gone; leases could name the port until `named_until` (0: it was never told to anybody).
  // The same container may have it again at once: such a lease is not wrong.
  void Release(uint16_t port, const std::string& container, Nanos named_until);
  // How many ports are in use or rest.
  size_t size() const { return used_.size(); }

 private:
  struct Use {
    std::string container;
    Nanos until = kForever;  // kForever: in use
  };
  bool Available(uint16_t port, const std::string& container, Nanos now);

  const uint16_t first_;
  const uint32_t count_;
  const uint32_t shares_;  // a power of two
  uint32_t next_;
  std::optional<uint64_t> incarnation_;
  std::function<bool(uint16_t)> is_free_;
  absl::flat_hash_map<uint16_t, Use> used_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCHER_PORTS_H_
