#include "lib/base/name_lookup.h"

#include <netdb.h>

#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fastcontainer {

struct NameLookup::State {
  std::mutex mutex;
  Reactor* reactor = nullptr;  // null once nobody waits; guarded by mutex
  Callback callback;
  absl::StatusOr<std::vector<Address>> result = absl::UnknownError("");

  static void Finish(const std::shared_ptr<State>& state) {
    const std::lock_guard lock(state->mutex);
    if (state->reactor == nullptr) return;
    state->reactor->Post([weak = std::weak_ptr<State>(state)] {
      const std::shared_ptr<State> held = weak.lock();
      // The loop's thread alone clears it: no lock is held while the callback runs.
      if (held != nullptr && held->reactor != nullptr) held->callback(std::move(held->result));
    });
  }
};

namespace {

absl::StatusOr<std::vector<Address>> LookUp(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
    return absl::UnavailableError(
        absl::StrCat("the host name \"", host, "\" has no address: ", gai_strerror(error)));
  }
  std::vector<Address> addresses;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next)
    if (const Address address = Address::FromSockaddr(entry->ai_addr); address.family != 0)
      addresses.push_back(address);
  freeaddrinfo(found);
  if (addresses.empty())
    return absl::UnavailableError(absl::StrCat("the host name \"", host, "\" has no address"));
  return addresses;
}

}  // namespace

NameLookup::NameLookup(std::string host, Reactor& reactor, Callback callback)
    : state_(std::make_shared<State>()) {
  state_->reactor = &reactor;
  state_->callback = std::move(callback);
  if (const absl::StatusOr<Address> numeric = Address::Parse(host); numeric.ok()) {
    state_->result = std::vector<Address>{*numeric};
    State::Finish(state_);
    return;
  }
  try {
    std::thread([state = state_, host = std::move(host)] {
      state->result = LookUp(host);
      State::Finish(state);
    }).detach();
  } catch (const std::system_error& error) {
    state_->result = absl::UnavailableError(absl::StrCat("no thread to look a name up: ", error.what()));
    State::Finish(state_);
  }
}

NameLookup::~NameLookup() {
  const std::lock_guard lock(state_->mutex);
  state_->reactor = nullptr;
}

}  // namespace fastcontainer
