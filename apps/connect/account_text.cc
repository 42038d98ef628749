#include <cstdio>

#include "apps/connect/account.h"

namespace rejoin::connect {
namespace {

constexpr std::size_t kWholeValueMax = 24, kShownEnd = 8;

// A message from anywhere goes to a terminal: what would steer it is not let through.
std::string printable(Bytes text) {
  std::string out;
  for (const char c : text) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '.' : c;
  return out;
}

class TextReporter final : public Reporter {
 public:
  void connected(const Account& account) override {
    said_server_ = false;
    say("#" + std::to_string(account.number) + " " + account.local.text() + " -> " + account.url);
    for (const SentCookie& cookie : account.cookies_sent)
      row("cookie sent", cookie.name + "=" + shortened(cookie.value));
  }

  void answered(const Account& account) override {
    if (account.status && *account.status != 101) row("status", std::to_string(*account.status));
    for (const ReceivedCookie& cookie : account.cookies_received) {
      std::string text = cookie.name + "=" + shortened(cookie.value);
      for (const std::string& attribute : cookie.attributes) text += "; " + attribute;
      row("cookie received", text);
    }
  }

  void received(const Account& account) override {
    say("   < " + printable(account.messages.back()));
    if (!account.server || said_server_) return;
    said_server_ = true;
    row("server", *account.server);
  }

  void ended(const Account& account) override {
    // A dial that failed was not told of before.
    if (!account.local) say("#" + std::to_string(account.number) + " -> " + account.url);
    if (account.error) row("error", *account.error);
    if (account.local)
      say(account.close_code ? "   closed " + std::to_string(*account.close_code) : "   closed");
  }

 private:
  static void say(const std::string& line) {
    std::fprintf(stdout, "%s\n", line.c_str());
    std::fflush(stdout);
  }
  static void row(std::string_view title, const std::string& text) {
    std::string line = "   " + std::string(title);
    line.resize(20, ' ');
    say(line + printable(text));
  }
  bool said_server_ = false;
};

}  // namespace

std::string shortened(std::string_view value) {
  if (value.size() <= kWholeValueMax) return std::string(value);
  return std::string(value.substr(0, kShownEnd)) + "..." +
         std::string(value.substr(value.size() - kShownEnd));
}

std::unique_ptr<Reporter> make_text_reporter() { return std::make_unique<TextReporter>(); }

}  // namespace rejoin::connect
