#include "agent/session/text.h"

#include "gtest/gtest.h"

namespace mxtally {
namespace {

std::string Text(std::string_view text, size_t bytes_max = 100) {
  std::string out = "what was there before";
  SetText(text, bytes_max, out);
  return out;
}

TEST(TextTest, PrintableTextStays) {
  EXPECT_EQ(Text(""), "");
  EXPECT_EQ(Text("mx.example (a <b>)"), "mx.example (a <b>)");
  EXPECT_EQ(Text("b\u00fccher.example \u20ac \U0001f4e7"), "b\u00fccher.example \u20ac \U0001f4e7");
}

TEST(TextTest, AddressSignAndControlCharactersAreReplaced) {
  EXPECT_EQ(Text("user@host"), "user?host");
  EXPECT_EQ(Text("a\n\r\t\x1b\x7f" + std::string(1, '\0') + "b"), "a??????b");
  EXPECT_EQ(Text("a\u0085\u009bb"), "a??b");
}

TEST(TextTest, BytesThatAreNotUtf8AreReplaced) {
  EXPECT_EQ(Text("\xff\xfe"), "??");
  EXPECT_EQ(Text("a\xc3"), "a?");               // Cut short.
  EXPECT_EQ(Text("\xe2\x82"), "??");            //
  EXPECT_EQ(Text("\xc0\xaf"), "??");            // Overlong.
  EXPECT_EQ(Text("\xe0\x80\xaf"), "???");       //
  EXPECT_EQ(Text("\xed\xa0\x80"), "???");       // Surrogate.
  EXPECT_EQ(Text("\xf4\x90\x80\x80"), "????");  // Beyond Unicode.
  EXPECT_EQ(Text("b\xfc"
                 "cher"),
            "b?cher");  // Latin-1.
}

TEST(TextTest, CutBetweenCharacters) {
  EXPECT_EQ(Text("abcdef", 3), "abc");
  EXPECT_EQ(Text("ab\u20ac", 4), "ab");
  EXPECT_EQ(Text("ab\u20ac", 5), "ab\u20ac");
}

TEST(TextTest, NamesAreLowerCase) {
  std::string out;
  SetLowerText("MX1.Example", 4, out);
  EXPECT_EQ(out, "mx1.");
}

TEST(TextTest, KeyHostHoldsOnlyWhatAHostNameMay) {
  std::string out;
  AppendKeyHost("MX-1.ex_ample \xff/", out);
  EXPECT_EQ(out, "mx-1.ex_ample___");
  out.clear();
  AppendKeyHost(std::string(300, 'a'), out);
  EXPECT_EQ(out.size(), 255);
}

TEST(TextTest, KeyTagIsVisibleAscii) {
  std::string out;
  AppendKeyTag("p\xc3\xbcost\x01/smtpd[1]", out);
  EXPECT_EQ(out, "p??ost?/smtpd[1]");
}

TEST(TextTest, KeyTagOfRfc5424IsThatOfOtherHeaders) {
  std::string out;
  AppendKeyTag("postfix/smtpd 123", out);
  EXPECT_EQ(out, "postfix/smtpd[123]");
  out.clear();
  AppendKeyTag(std::string(kKeyTagBytesMax - 2, 'x') + " 1", out);
  EXPECT_EQ(out, std::string(kKeyTagBytesMax - 3, 'x') + "[1]");
}

}  // namespace
}  // namespace mxtally
