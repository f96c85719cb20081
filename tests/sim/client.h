// What a proxy does with a router: routes, connects, sends, sends again where that is safe, ends the ticket.
#ifndef FASTCONTAINER_TESTS_SIM_CLIENT_H_
#define FASTCONTAINER_TESTS_SIM_CLIENT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/router/router.h"
#include "tests/sim/machine.h"
#include "tests/sim/network.h"

namespace fastcontainer::sim {

class Client;

struct Request {
  Client* client = nullptr;
  uint64_t id = 0;
  std::string key;
  bool idempotent = true;
  Nanos service = 0;
  Nanos created = 0;

  bool routing = false;  // a callback is owed
  bool at_once = true;   // the present ticket needed none
  RouteOp op = 0;
  TicketId ticket = 0;
  Address target;
  std::string container, host;
  uint64_t epoch = 0;
  RouteReason reason = RouteReason::kLease;
  uint64_t connection = 0;  // names the present attempt
  int attempts = 0;
  bool bytes_written = false;  // in this attempt

  int finishes = 0;
  int executions = 0;
  RouteCode code = RouteCode::kPending;
  std::string error;
  Nanos finished = 0;
};

class Client {
 public:
  struct Counts {
    uint64_t sent = 0, ok = 0, failed = 0, unsafe = 0, retried = 0;
    uint64_t relocated = 0, warm = 0;
    Nanos longest = 0;
    std::map<RouteCode, uint64_t> codes;
    Counts& operator+=(const Counts& other);
  };
  // What the simulation looks at.
  struct Observer {
    std::function<void(const Request&, const Ticket&)> ticket;
    std::function<void(const Request&, const StartRequest& by)> executed;
    std::function<void(const Request&)> finished;
    std::function<void(const std::string&)> violation;
  };
  using MachineAt = std::function<Machine*(const Address&)>;

  Client(World& world, Network& network, SimReactor& reactor, Router& router, const Address& own,
         MachineAt machine_at, Observer observer);

  Request& Send(const std::string& key, bool idempotent, Nanos service);
  // Its process was killed: what was sent goes on, and nothing of it is heard here any more.
  void Die() { dead_ = true; }
  const Counts& counts() const { return counts_; }
  size_t open() const { return requests_.size(); }
  void ForEachOpen(const std::function<void(const Request&)>& visit) const;
  bool unsafe_resend = false;  // a mutant: says of no attempt that bytes were written
  Nanos connect_timeout = 3 * kSecond;
  Nanos response_timeout = 10 * kSecond;

 private:
  static void OnRoute(void* user_data, RouteCode code, const Ticket* ticket, const RouteError* error);
  static void OnLost(void* user_data, TicketId ticket, uint32_t reason);

  RouteOptions Options(Request& request) const;
  void Routed(Request& request, RouteCode code, const Ticket& ticket);
  void Connect(Request& request, const Ticket& ticket);
  void Connected(Request& request, uint64_t connection, bool refused);
  void Answered(Request& request);
  void GiveUp(Request& request, Outcome outcome);
  void Finish(Request& request, RouteCode code, std::string error);
  // Runs on the proxy's loop if the attempt is still the present one.
  void Here(const std::shared_ptr<Request>& request, uint64_t connection,
            std::function<void(Request&)> action);
  void Later(Nanos delay, const std::shared_ptr<Request>& request, Outcome outcome, bool connecting);

  World& world_;
  Network& network_;
  SimReactor& reactor_;
  Router& router_;
  const Address own_;
  MachineAt machine_at_;
  Observer observer_;
  bool dead_ = false;
  uint64_t next_ = 1;
  uint64_t next_connection_ = 1;
  std::map<uint64_t, std::shared_ptr<Request>> requests_;
  std::vector<std::shared_ptr<Request>> finished_;
  Counts counts_;
};

}  // namespace fastcontainer::sim

#endif  // FASTCONTAINER_TESTS_SIM_CLIENT_H_
