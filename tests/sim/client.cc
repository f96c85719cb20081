#include "tests/sim/client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fastcontainer::sim {
namespace {

// More attempts than this at one request are a livelock.
constexpr int kMostAttempts = 200;

}  // namespace

Client::Client(World& world, Network& network, SimReactor& reactor, Router& router, const Address& own,
               MachineAt machine_at, Observer observer)
    : world_(world),
      network_(network),
      reactor_(reactor),
      router_(router),
      own_(own),
      machine_at_(std::move(machine_at)),
      observer_(std::move(observer)) {}

Client::Counts& Client::Counts::operator+=(const Counts& other) {
  sent += other.sent;
  ok += other.ok;
  failed += other.failed;
  unsafe += other.unsafe;
  retried += other.retried;
  relocated += other.relocated;
  warm += other.warm;
  longest = std::max(longest, other.longest);
  for (const auto& [code, count] : other.codes) codes[code] += count;
  return *this;
}

void Client::ForEachOpen(const std::function<void(const Request&)>& visit) const {
  for (const auto& [id, request] : requests_) visit(*request);
}

RouteOptions Client::Options(Request& request) const {
  RouteOptions options;
  options.on_lost = &Client::OnLost;
  options.lost_user_data = &request;
  return options;
}

Request& Client::Send(const std::string& key, bool idempotent, Nanos service) {
  auto shared = std::make_shared<Request>();
  Request& request = *shared;
  request.client = this;
  request.id = next_++;
  request.key = key;
  request.idempotent = idempotent;
  request.service = service;
  request.created = world_.now();
  requests_.emplace(request.id, std::move(shared));
  ++counts_.sent;
  Ticket ticket;
  request.routing = true;
  request.at_once = true;
  const RouteCode code =
      router_.Route(key, Options(request), &ticket, &request.op, &Client::OnRoute, &request);
  if (code != RouteCode::kPending) Routed(request, code, ticket);
  return request;
}

void Client::OnRoute(void* user_data, RouteCode code, const Ticket* ticket, const RouteError* error) {
  Request& request = *static_cast<Request*>(user_data);
  if (request.client->dead_) return;
  if (!request.routing)
    return request.client->observer_.violation(
        absl::StrCat("I9: a callback that was not owed, request ", request.id));
  if (error != nullptr) request.error = error->message;
  request.at_once = false;
  request.client->Routed(request, code, ticket != nullptr ? *ticket : Ticket{});
}

void Client::Routed(Request& request, RouteCode code, const Ticket& ticket) {
  request.routing = false;
  if (code != RouteCode::kOk) return Finish(request, code, request.error);
  observer_.ticket(request, ticket);
  Connect(request, ticket);
}

void Client::Connect(Request& request, const Ticket& ticket) {
  const std::shared_ptr<Request> shared = requests_.at(request.id);
  request.ticket = ticket.id;
  request.target = Address::FromSockaddr(ticket.address);
  request.container = std::string(ticket.container);
  request.host = std::string(ticket.host);
  request.epoch = ticket.epoch;
  request.reason = ticket.reason;
  request.bytes_written = false;
  const uint64_t connection = request.connection = next_connection_++;
  if (++request.attempts > kMostAttempts) {
    observer_.violation(absl::StrCat("livelock: request ", request.id, " for ", request.key));
    router_.EndTicket(request.ticket, Outcome::kCancelled, 0);
    return Finish(request, RouteCode::kTimeout, "livelock");
  }
  const Address target = request.target;
  network_.SendSegment(own_, target, [this, shared, connection, target] {
    Machine* const machine = machine_at_(target);
    const bool refused =
        machine == nullptr || network_.Rejects(target) || machine->Listening(target) == nullptr;
    network_.SendSegment(target, own_, [this, shared, connection, refused] {
      Here(shared, connection,
           [this, connection, refused](Request& r) { Connected(r, connection, refused); });
    });
  });
  Later(connect_timeout, shared, Outcome::kConnectFailed, true);
  Later(response_timeout, shared, Outcome::kTimeout, false);
}

void Client::Here(const std::shared_ptr<Request>& request, uint64_t connection,
                  std::function<void(Request&)> action) {
  if (dead_) return;
  reactor_.Input(0, [request, connection, action = std::move(action)] {
    if (request->connection == connection) action(*request);
  });
}

void Client::Later(Nanos delay, const std::shared_ptr<Request>& request, Outcome outcome, bool connecting) {
  reactor_.After(delay, [this, request, outcome, connecting, connection = request->connection] {
    if (request->connection != connection || (connecting && request->bytes_written)) return;
    GiveUp(*request, outcome);
  });
}

void Client::Connected(Request& request, uint64_t connection, bool refused) {
  if (refused) return GiveUp(request, Outcome::kRefused);
  const std::shared_ptr<Request> shared = requests_.at(request.id);
  request.bytes_written = true;
  const Address target = request.target;
  network_.SendSegment(own_, target, [this, shared, connection, target] {
    const auto back = [this, shared, connection, target](bool answered) {
      network_.SendSegment(target, own_, [this, shared, connection, answered] {
        Here(shared, connection, [this, answered](Request& r) {
          if (answered)
            Answered(r);
          else
            GiveUp(r, Outcome::kClosed);
        });
      });
    };
    Exchange exchange;
    exchange.service = shared->service;
    exchange.executed = [this, shared](const StartRequest& by) {
      ++shared->executions;
      observer_.executed(*shared, by);
    };
    exchange.answered = [back] { back(true); };
    exchange.closed = [back] { back(false); };
    Machine* const machine = machine_at_(target);
    if (machine == nullptr || !machine->Arrive(target, std::move(exchange))) back(false);
  });
}

void Client::Answered(Request& request) {
  router_.NoteAlive(request.ticket);
  router_.EndTicket(request.ticket, Outcome::kOk, world_.now() - request.created);
  if (request.reason == RouteReason::kRelocated) ++counts_.relocated;
  if (request.reason == RouteReason::kLease) ++counts_.warm;
  Finish(request, RouteCode::kOk, "");
}

void Client::OnLost(void* user_data, TicketId ticket, uint32_t) {
  Request& request = *static_cast<Request*>(user_data);
  if (request.client->dead_ || request.ticket != ticket) return;
  request.client->GiveUp(request, Outcome::kCancelled);
}

void Client::GiveUp(Request& request, Outcome outcome) {
  ++counts_.retried;
  request.connection = 0;
  Attempt attempt;
  attempt.outcome = outcome;
  attempt.bytes_written = request.bytes_written && !unsafe_resend;
  attempt.idempotent = request.idempotent;
  attempt.body_held = true;
  Ticket next;
  const TicketId ticket = std::exchange(request.ticket, 0);
  request.routing = true;
  request.at_once = true;
  const RouteCode code =
      router_.Retry(ticket, attempt, Options(request), &next, &request.op, &Client::OnRoute, &request);
  if (code != RouteCode::kPending) Routed(request, code, next);
}

void Client::Finish(Request& request, RouteCode code, std::string error) {
  request.connection = 0;
  request.code = code;
  request.error = std::move(error);
  request.finished = world_.now();
  ++request.finishes;
  ++counts_.codes[code];
  if (code == RouteCode::kOk)
    ++counts_.ok;
  else if (code == RouteCode::kUnsafe)
    ++counts_.unsafe;
  else
    ++counts_.failed;
  counts_.longest = std::max(counts_.longest, request.finished - request.created);
  observer_.finished(request);
  // Kept, so that a callback too many finds it and is seen.
  finished_.push_back(std::move(requests_.extract(request.id).mapped()));
}

}  // namespace fastcontainer::sim
