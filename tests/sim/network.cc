#include "tests/sim/network.h"

#include <cerrno>

namespace fastcontainer::sim {
namespace {

constexpr size_t kOldDatagrams = 500;
constexpr size_t kReceiveBuffer = 300;  // datagrams

}  // namespace

void Network::Mark(std::set<Address>& set, const Address& machine, bool member) {
  if (member)
    set.insert(machine.WithPort(0));
  else
    set.erase(machine.WithPort(0));
}

void Network::Block(const Address& from, const Address& to, bool blocked) {
  const std::pair<Address, Address> way{from.WithPort(0), to.WithPort(0)};
  if (blocked)
    blocked_.insert(way);
  else
    blocked_.erase(way);
}

void Network::Heal() {
  down_.clear();
  reject_.clear();
  local_fault_.clear();
  blocked_.clear();
  faults = Faults();
  old_.clear();
}

bool Network::Reachable(const Address& from, const Address& to) const {
  return !Has(down_, from) && !Has(down_, to) &&
         (blocked_.empty() || blocked_.count({from.WithPort(0), to.WithPort(0)}) == 0);
}

bool Network::Lost(const Address& from, const Address& to) {
  const bool unlucky = world_.Chance(faults.loss);
  return unlucky || !Reachable(from, to);
}

void Network::SendDatagram(const Address& from, const Address& to, std::string_view datagram) {
  // A process that was killed says nothing while it is torn down.
  if (Has(local_fault_, from) || sockets_.count(from) == 0) return;
  if (faults.replay > 0) {
    old_.push_back({from, to, std::string(datagram)});
    if (old_.size() > kOldDatagrams) old_.pop_front();
  }
  const int copies = 1 + (world_.Chance(faults.duplicate) ? 1 : 0);
  for (int i = 0; i < copies; ++i) {
    if (Lost(from, to)) continue;
    Nanos delay = Delay();
    if (world_.Chance(faults.reorder)) delay += world_.Between(0, 20 * kMillisecond);
    world_.After(delay, [this, from, to, copy = std::string(datagram)]() mutable {
      Deliver(from, to, std::move(copy));
    });
  }
  if (world_.Chance(faults.replay)) {
    const Sent& sent = old_[static_cast<size_t>(world_.Draw() % old_.size())];
    world_.After(Delay(), [this, sent] { Deliver(sent.from, sent.to, sent.datagram); });
  }
}

void Network::ReplayAll() {
  for (const Sent& sent : old_)
    world_.After(Delay(), [this, sent] { Deliver(sent.from, sent.to, sent.datagram); });
}

void Network::Deliver(const Address& from, const Address& to, std::string datagram) {
  if (!Reachable(from, to)) return;
  const auto found = sockets_.find(to);
  if (Rejects(to) || found == sockets_.end()) {
    if (Reachable(to, from) && !world_.Chance(faults.loss))
      world_.After(Delay(), [this, from, to] { ReportRefused(from, to); });
    return;
  }
  SimSocket* const socket = found->second;
  if (socket->waiting_ >= kReceiveBuffer) return;
  ++socket->waiting_;
  socket->reactor_.Input(0, [socket, open = socket->open_, from, datagram = std::move(datagram)] {
    if (!*open) return;
    --socket->waiting_;
    if (socket->receive_) socket->receive_(from, datagram);
  });
}

void Network::ReportRefused(const Address& sender, const Address& to) {
  const auto found = sockets_.find(sender);
  if (found == sockets_.end() || !Reachable(to, sender)) return;
  SimSocket* const socket = found->second;
  socket->reactor_.Input(0, [socket, open = socket->open_, to] {
    if (*open && socket->error_) socket->error_(to, ECONNREFUSED);
  });
}

void Network::SendSegment(const Address& from, const Address& to, Reactor::Callback arrive) {
  if (!Reachable(from, to) || Has(local_fault_, from)) return;
  Nanos delay = Delay();
  if (world_.Chance(faults.loss)) delay += 200 * kMillisecond;  // sent again by TCP
  world_.After(delay, [this, from, to, arrive = std::move(arrive)]() mutable {
    if (Reachable(from, to)) arrive();
  });
}

void Network::SendEcho(const Address& from, const Address& to, EchoCallback result) {
  if (Has(local_fault_, from))
    return world_.After(0, [result = std::move(result)]() mutable { result(EchoResult::kLocalFault); });
  if (Lost(from, to)) return;
  Nanos delay = 2 * Delay();
  if (world_.Chance(faults.slow_echo)) delay += world_.Between(20 * kMillisecond, 100 * kMillisecond);
  world_.After(delay, [this, from, to, result = std::move(result)]() mutable {
    if (Lost(to, from)) return;
    result(Rejects(to) ? EchoResult::kRejected : EchoResult::kReply);
  });
}

SimSocket::SimSocket(Network& network, SimReactor& reactor, const Address& address)
    : network_(network), reactor_(reactor), address_(address) {
  network_.Bind(address_, this);
}

SimSocket::~SimSocket() {
  *open_ = false;
  network_.Unbind(address_);
}

void SimSocket::Send(const Address& to, std::string_view datagram) {
  network_.SendDatagram(address_, to, datagram);
}

void SimSocket::SetCallbacks(ReceiveCallback receive, ErrorCallback error) {
  receive_ = std::move(receive);
  error_ = std::move(error);
}

Prober::ProbeId SimProber::Probe(const Address& host, const ProbeOptions& options, Callback callback) {
  const ProbeId id = next_++;
  pending_->emplace(id, Pending{std::move(callback), reactor_.Now()});
  SendPacket(id, host);
  for (const Nanos hedge : options.hedge)
    if (hedge > 0 && hedge < options.deadline)
      reactor_.After(hedge, [this, pending = pending_, id, host] {
        if (pending->count(id) > 0) SendPacket(id, host);
      });
  reactor_.After(options.deadline, [pending = pending_, id] {
    ProbeResult result;
    result.verdict = Verdict::kDownTimeout;
    Finish(*pending, id, result);
  });
  return id;
}

void SimProber::SendPacket(ProbeId id, const Address& host) {
  network_.SendEcho(machine_, host,
                    [&reactor = reactor_, weak = std::weak_ptr<Map>(pending_), sent = reactor_.Now(),
                     id](Network::EchoResult echo) {
                      if (weak.expired()) return;  // the process is gone, and its reactor too
                      reactor.Input(0, [&reactor, weak, sent, id, echo] {
                        const std::shared_ptr<Map> pending = weak.lock();
                        if (pending == nullptr) return;
                        ProbeResult result;
                        result.mechanism = ProbeMechanism::kIcmpDatagram;
                        result.rtt = reactor.Now() - sent;
                        result.verdict = echo == Network::EchoResult::kReply      ? Verdict::kUp
                                         : echo == Network::EchoResult::kRejected ? Verdict::kDownUnreachable
                                                                                  : Verdict::kLocalFault;
                        result.error = echo == Network::EchoResult::kReply      ? 0
                                       : echo == Network::EchoResult::kRejected ? EHOSTUNREACH
                                                                                : EPERM;
                        Finish(*pending, id, result);
                      });
                    });
}

void SimProber::Finish(Map& pending, ProbeId id, ProbeResult result) {
  const auto found = pending.find(id);
  if (found == pending.end()) return;
  Callback callback = std::move(found->second.callback);
  pending.erase(found);
  callback(result);
}

}  // namespace fastcontainer::sim
