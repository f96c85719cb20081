#include "lib/cmdb/postgresql/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fastcontainer::postgresql {
namespace {

absl::StatusOr<std::vector<std::string>> Resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0)
    return absl::UnavailableError(
        absl::StrCat("the host name ", host, " has no address: ", gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> holder(found, &freeaddrinfo);
  std::vector<std::string> addresses;
  for (const addrinfo* next = found; next != nullptr; next = next->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(next->ai_addr, next->ai_addrlen, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) == 0)
      addresses.emplace_back(text);
  }
  if (addresses.empty())
    return absl::UnavailableError(absl::StrCat("the host name ", host, " has no address"));
  return addresses;
}

}  // namespace

struct Lookup::Shared {
  std::mutex mutex;
  Reactor* reactor;  // nullptr when nobody waits any more
  Callback callback;
};

bool IsHostName(const std::string& host) {
  unsigned char address[sizeof(in6_addr)];
  return !host.empty() && host[0] != '/' && host[0] != '@' &&
         inet_pton(AF_INET, host.c_str(), address) != 1 && inet_pton(AF_INET6, host.c_str(), address) != 1;
}

Lookup::Lookup(std::string host, Reactor& reactor, Callback callback) : shared_(std::make_shared<Shared>()) {
  shared_->reactor = &reactor;
  shared_->callback = std::move(callback);
  const auto answer = [shared = shared_](absl::StatusOr<std::vector<std::string>> addresses) {
    const std::lock_guard<std::mutex> lock(shared->mutex);
    if (shared->reactor == nullptr) return;
    shared->reactor->Post([weak = std::weak_ptr<Shared>(shared), addresses = std::move(addresses)]() mutable {
      const auto alive = weak.lock();
      if (alive == nullptr || alive->reactor == nullptr) return;
      Callback once = std::move(alive->callback);
      once(std::move(addresses));
    });
  };
  // Detached: a name server may be silent for half a minute, and nobody should wait for it.
  try {
    std::thread([answer, host = std::move(host)] { answer(Resolve(host)); }).detach();
  } catch (const std::system_error& error) {
    answer(absl::UnavailableError(absl::StrCat("no thread to look a host name up: ", error.what())));
  }
}

Lookup::~Lookup() {
  const std::lock_guard<std::mutex> lock(shared_->mutex);
  shared_->reactor = nullptr;
}

}  // namespace fastcontainer::postgresql
