// A host table for the tests of policies.
#ifndef FASTCONTAINER_TESTS_UNIT_POLICY_HOSTS_H_
#define FASTCONTAINER_TESTS_UNIT_POLICY_HOSTS_H_

#include <xxhash.h>

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "fastcontainer/policy.h"

namespace fastcontainer {

inline uint64_t HashOf(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

// The columns of a host table, ids "h0000", "h0001" and so on, everything free and up.
struct Hosts {
  explicit Hosts(size_t size)
      : flags(size, kHostAdminUp | kHostReachable | kHostFresh),
        cpu(size, std::numeric_limits<float>::infinity()),
        memory(size, std::numeric_limits<double>::infinity()) {
    for (size_t i = 0; i < size; ++i) {
      std::string digits = std::to_string(i);
      names.push_back("h" + std::string(4 - digits.size(), '0') + digits);
    }
    for (const std::string& name : names) {
      ids.push_back(name);
      hashes.push_back(HashOf(name));
    }
  }
  HostTable Table() const {
    HostTable table;
    table.size = ids.size();
    table.id_hash = hashes.data();
    table.id = ids.data();
    table.flags = flags.data();
    table.free_cpu = cpu.data();
    table.free_memory = memory.data();
    return table;
  }
  std::vector<uint32_t> Place(std::string_view container, size_t at_most = 8, double need_cpu = 0,
                              double need_memory = 0, std::string_view avoid = {}) const {
    KeyedChoices policy;
    return PlaceBy(policy, container, at_most, need_cpu, need_memory, avoid);
  }
  std::vector<uint32_t> PlaceBy(Policy& policy, std::string_view container, size_t at_most = 8,
                                double need_cpu = 0, double need_memory = 0,
                                std::string_view avoid = {}) const {
    PlacementRequest request;
    request.container = container;
    request.container_hash = HashOf(container);
    request.cpu = need_cpu;
    request.memory = need_memory;
    request.avoid_host = avoid;
    std::vector<uint32_t> out(at_most);
    out.resize(policy.Place(request, Table(), absl::MakeSpan(out)));
    return out;
  }

  std::vector<std::string> names;
  std::vector<std::string_view> ids;
  std::vector<uint64_t> hashes;
  std::vector<uint32_t> flags;
  std::vector<float> cpu;
  std::vector<double> memory;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_POLICY_HOSTS_H_
