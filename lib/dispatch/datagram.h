// A datagram socket as an interface: UDP (lib/dispatch/udp.h) or the simulated network (tests/sim/).
#ifndef FASTCONTAINER_LIB_DISPATCH_DATAGRAM_H_
#define FASTCONTAINER_LIB_DISPATCH_DATAGRAM_H_

#include <string_view>

#include "absl/functional/any_invocable.h"
#include "fastcontainer/address.h"

namespace fastcontainer {

class DatagramSocket {
 public:
  using ReceiveCallback = absl::AnyInvocable<void(const Address& from, std::string_view datagram)>;
  // An ICMP error came back for what was sent to `to`, or sending failed: ECONNREFUSED (nobody listens on
  // that port), EHOSTUNREACH, EPERM, ...
  using ErrorCallback = absl::AnyInvocable<void(const Address& to, int error)>;

  virtual ~DatagramSocket() = default;
  // Fire and forget. Never calls back inside the call.
  virtual void Send(const Address& to, std::string_view datagram) = 0;
  virtual void SetCallbacks(ReceiveCallback receive, ErrorCallback error) = 0;
  virtual Address local_address() const = 0;
  // Where the datagram was sent to that is being received; inside ReceiveCallback only.
  virtual Address destination() const { return local_address(); }
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCH_DATAGRAM_H_
