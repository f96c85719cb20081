// Datagram sockets of one test: what is sent arrives when the test says so, and may be lost, doubled or kept.
#ifndef FASTCONTAINER_TESTS_UNIT_DISPATCH_FAKE_DATAGRAMS_H_
#define FASTCONTAINER_TESTS_UNIT_DISPATCH_FAKE_DATAGRAMS_H_

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "lib/dispatch/datagram.h"

namespace fastcontainer {

class FakeDatagrams {
 public:
  struct Datagram {
    Address from;
    Address to;
    std::string bytes;
  };

  std::unique_ptr<DatagramSocket> Open(const Address& address) {
    return std::make_unique<Socket>(*this, address);
  }
  // Delivers what was sent, and what that causes, in order; returns how many.
  size_t Deliver() {
    size_t delivered = 0;
    while (!sent.empty()) {
      const Datagram next = std::move(sent.front());
      sent.pop_front();
      delivered += Give(next) ? 1u : 0u;
    }
    return delivered;
  }
  bool Give(const Datagram& datagram) {
    const auto found = sockets_.find(datagram.to);
    if (found == sockets_.end() || !found->second->receive_) return false;
    found->second->receive_(datagram.from, datagram.bytes);
    return true;
  }

  std::deque<Datagram> sent;

 private:
  class Socket final : public DatagramSocket {
   public:
    Socket(FakeDatagrams& net, const Address& address) : net_(net), address_(address) {
      net_.sockets_[address] = this;
    }
    ~Socket() override { net_.sockets_.erase(address_); }
    void Send(const Address& to, std::string_view datagram) override {
      net_.sent.push_back({address_, to, std::string(datagram)});
    }
    void SetCallbacks(ReceiveCallback receive, ErrorCallback) override { receive_ = std::move(receive); }
    Address local_address() const override { return address_; }

    ReceiveCallback receive_;

   private:
    FakeDatagrams& net_;
    const Address address_;
  };
  std::map<Address, Socket*> sockets_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_DISPATCH_FAKE_DATAGRAMS_H_
