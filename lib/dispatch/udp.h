// A UDP socket on the reactor. Errors that come back by ICMP are told with the destination they belong to
// (IP_RECVERR), and a host with several addresses answers from the one that was asked (IP_PKTINFO).
#ifndef FASTCONTAINER_LIB_DISPATCH_UDP_H_
#define FASTCONTAINER_LIB_DISPATCH_UDP_H_

#include <sys/uio.h>

#include <deque>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "fastcontainer/reactor.h"
#include "lib/dispatch/datagram.h"

namespace fastcontainer {

class UdpSocket final : public DatagramSocket {
 public:
  // Errors: AlreadyExists (the address is in use), PermissionDenied, InvalidArgument (not an address of this
  // machine), Unavailable (anything else). Port 0: the kernel chooses.
  static absl::StatusOr<std::unique_ptr<UdpSocket>> Create(Reactor& reactor, const Address& bind_address);
  ~UdpSocket() override;
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;

  void Send(const Address& to, std::string_view datagram) override;
  void SetCallbacks(ReceiveCallback receive, ErrorCallback error) override;
  Address local_address() const override { return local_; }
  Address destination() const override { return destination_; }

 private:
  UdpSocket(Reactor& reactor, int fd, const Address& local);
  void Ready(uint32_t events);
  void DrainErrors();
  // False when the socket has nothing more to read.
  bool ReceiveOne();
  void Remember(const Address& peer, const Address& local);
  int TrySend(const Address& to, const Address& source, std::string_view datagram);
  // Tells the error callback, in a later round.
  void Report(const Address& to, int error);

  Reactor& reactor_;
  const int fd_;
  const Address local_;
  Address destination_;  // of what is being received
  // Shared: a callback may destroy the socket, and runs to its end then.
  std::shared_ptr<ReceiveCallback> on_receive_;
  std::shared_ptr<ErrorCallback> on_error_;
  // The own address that each peer asked last; only while bound to "any".
  absl::flat_hash_map<Address, Address> source_;
  std::deque<Address> source_order_;
  std::shared_ptr<bool> alive_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCH_UDP_H_
