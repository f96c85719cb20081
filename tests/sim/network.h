// The simulated network: datagrams, ICMP echo and connections between machines, with what goes wrong on the
// way.
#ifndef FASTCONTAINER_TESTS_SIM_NETWORK_H_
#define FASTCONTAINER_TESTS_SIM_NETWORK_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "fastcontainer/prober.h"
#include "lib/dispatch/datagram.h"
#include "tests/sim/world.h"

namespace fastcontainer::sim {

class SimSocket;

class Network {
 public:
  struct Faults {
    Nanos least_delay = 50 * kMicrosecond;
    Nanos most_delay = 500 * kMicrosecond;
    double loss = 0;       // of each datagram and each echo
    double duplicate = 0;  // delivered once more
    double reorder = 0;    // up to 20 ms late
    double replay = 0;     // some old datagram comes again
    double slow_echo = 0;  // an echo reply that comes after 20 to 100 ms: a false alarm
  };

  explicit Network(World& world) : world_(world) {}

  Faults faults;

  // A machine that is down is silent in both directions, whatever runs on it.
  void SetDown(const Address& machine, bool down) { Mark(down_, machine, down); }
  bool IsDown(const Address& machine) const { return Has(down_, machine); }
  // A firewall before the machine answers everything with a rejection.
  void SetReject(const Address& machine, bool reject) { Mark(reject_, machine, reject); }
  // This machine's own firewall forbids sending.
  void SetLocalFault(const Address& machine, bool fault) { Mark(local_fault_, machine, fault); }
  void Block(const Address& from, const Address& to, bool blocked);  // one way
  void Heal();
  bool Reachable(const Address& from, const Address& to) const;

  // All that was sent lately, once more. Only what was sent while some fault of `replay` was set is known.
  void ReplayAll();

  void SendDatagram(const Address& from, const Address& to, std::string_view datagram);
  // A segment of a connection: lost if the way is cut when it is sent or when it arrives, otherwise late at
  // most. Runs as an event of nature.
  void SendSegment(const Address& from, const Address& to, Reactor::Callback arrive);
  enum class EchoResult : uint8_t { kReply, kRejected, kLocalFault };
  using EchoCallback = absl::AnyInvocable<void(EchoResult)>;
  // One echo packet; no result if it or its reply is lost.
  void SendEcho(const Address& from, const Address& to, EchoCallback result);

  bool Rejects(const Address& machine) const { return Has(reject_, machine); }
  void Bind(const Address& address, SimSocket* socket) { sockets_[address] = socket; }
  void Unbind(const Address& address) { sockets_.erase(address); }

 private:
  static void Mark(std::set<Address>& set, const Address& machine, bool member);
  static bool Has(const std::set<Address>& set, const Address& machine) {
    return !set.empty() && set.count(machine.WithPort(0)) > 0;
  }
  Nanos Delay() { return world_.Between(faults.least_delay, faults.most_delay); }
  bool Lost(const Address& from, const Address& to);
  void Deliver(const Address& from, const Address& to, std::string datagram);
  void ReportRefused(const Address& sender, const Address& to);

  World& world_;
  std::set<Address> down_, reject_, local_fault_;
  std::set<std::pair<Address, Address>> blocked_;
  std::map<Address, SimSocket*> sockets_;
  struct Sent {
    Address from, to;
    std::string datagram;
  };
  std::deque<Sent> old_;
};

class SimSocket final : public DatagramSocket {
 public:
  SimSocket(Network& network, SimReactor& reactor, const Address& address);
  ~SimSocket() override;
  void Send(const Address& to, std::string_view datagram) override;
  void SetCallbacks(ReceiveCallback receive, ErrorCallback error) override;
  Address local_address() const override { return address_; }

 private:
  friend class Network;
  Network& network_;
  SimReactor& reactor_;
  const Address address_;
  ReceiveCallback receive_;
  ErrorCallback error_;
  size_t waiting_ = 0;  // in the receive buffer
  std::shared_ptr<bool> open_ = std::make_shared<bool>(true);
};

class SimProber final : public Prober {
 public:
  SimProber(Network& network, SimReactor& reactor, const Address& machine)
      : network_(network), reactor_(reactor), machine_(machine) {}
  ProbeId Probe(const Address& host, const ProbeOptions& options, Callback callback) override;
  bool Cancel(ProbeId id) override { return pending_->erase(id) > 0; }
  ProbeMechanism mechanism() const override { return ProbeMechanism::kIcmpDatagram; }

 private:
  struct Pending {
    Callback callback;
    Nanos began;
  };
  using Map = std::map<ProbeId, Pending>;
  void SendPacket(ProbeId id, const Address& host);
  static void Finish(Map& pending, ProbeId id, ProbeResult result);

  Network& network_;
  SimReactor& reactor_;
  const Address machine_;
  ProbeId next_ = 1;
  std::shared_ptr<Map> pending_ = std::make_shared<Map>();
};

}  // namespace fastcontainer::sim

#endif  // FASTCONTAINER_TESTS_SIM_NETWORK_H_
