// What evidence makes a host count as up or down: the table of docs/design.md as a pure function.
#ifndef FASTCONTAINER_LIB_ROUTER_REACHABILITY_H_
#define FASTCONTAINER_LIB_ROUTER_REACHABILITY_H_

#include <cstdint>

namespace fastcontainer {

enum class IcmpEvidence : uint8_t {
  kPending,
  kAnswered,
  kSilent,       // the deadline passed, or an ICMP error said "unreachable" and the deadline passed
  kLocalFault,   // own firewall, no route, own link: no evidence
  kUnavailable,  // this process may not send ICMP: the dispatcher alone decides
};

enum class DispatcherEvidence : uint8_t {
  kNotAsked,
  kPending,
  kAnswered,
  kRefused,  // port unreachable: nobody listens there
  kSilent,   // its own, longer deadline passed
};

enum class HostVerdict : uint8_t {
  kUndecided,
  kUp,  // the machine answers; its dispatcher too, or it was not asked, or it still has time
  kDown,
  kServiceDown,  // the machine answers, its dispatcher does not
  kLocalFault,   // nothing is known
};

struct Evidence {
  IcmpEvidence icmp = IcmpEvidence::kPending;
  DispatcherEvidence dispatcher = DispatcherEvidence::kNotAsked;
  bool bytes = false;  // from any of the host's containers, since the check began
};

// The verdict so far. kUp may still become kServiceDown while the dispatcher's time runs.
HostVerdict Judge(const Evidence& evidence);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_REACHABILITY_H_
