#include "base/atomic_file.h"
#include "model/import/model_card.h"

#include <QTemporaryDir>
#include <QTest>

using namespace fettle;

using Values = std::vector<std::string>;

/// What a folder's card states, in the forms that people write it.
class TestModelCard : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void valuesInEveryForm()
    {
        const std::string card = "---\n"
                                 "license: apache-2.0 # as on the hub\n"
                                 "license_name: \"My: own\"\n"
                                 "language:\n"
                                 "- en\n"
                                 "  - 'de'\n"
                                 "# a comment\n"
                                 "tags: [a, \"b c\", d]\n"
                                 "base_model: owner/base\n"
                                 "empty:\n"
                                 "nested:\n"
                                 "  license: not-this\n"
                                 "---\n"
                                 "# A model\n"
                                 "license: nor-this\n";
        QCOMPARE(model::frontMatter(card, "license"), Values{"apache-2.0"});
        QCOMPARE(model::frontMatter(card, "license_name"), Values{"My: own"});
        QCOMPARE(model::frontMatter(card, "language"), (Values{"en", "de"}));
        QCOMPARE(model::frontMatter(card, "tags"), (Values{"a", "b c", "d"}));
        QCOMPARE(model::frontMatter(card, "base_model"), Values{"owner/base"});
        QCOMPARE(model::frontMatter(card, "empty"), Values{});
        QCOMPARE(model::frontMatter(card, "absent"), Values{});
    }

    void oddCardsStateNothing()
    {
        for (const char* card : {"", "---", "---\nlicense: mit\n", "license: mit\n", "--- \n---",
                                 "---\ntags: [\n---\n"})
            QVERIFY2(model::frontMatter(card, "license").empty(), card);
        QCOMPARE(model::frontMatter("---\ntags: [\n---\n", "tags"), Values{});
        QCOMPARE(model::frontMatter("---\nlicense: \"mit\n---\n", "license"), Values{"\"mit"});
    }

    void aFolderAsItIs()
    {
        QTemporaryDir folder;
        const std::filesystem::path path(folder.path().toStdString());
        QVERIFY(model::readModelCard(path).licence.empty());
        QVERIFY(writeFileAtomically(path / "README.md",
                                    "---\nlicense: other\nlicense_name: gemma\nlanguage: fr\n"
                                    "base_model:\n- a/b\n---\n\n# Name of it\n"));
        const auto card = model::readModelCard(path);
        QCOMPARE(card.licence, std::string("other"));
        QCOMPARE(card.licenceName, std::string("gemma"));
        QCOMPARE(card.languages, Values{"fr"});
        QCOMPARE(card.baseModels, Values{"a/b"});
        QCOMPARE(card.title, std::string("Name of it"));
        QVERIFY(writeFileAtomically(path / "README.md", "---\nlicense: \xff\n---\n"));
        QVERIFY(model::readModelCard(path).licence.empty());
    }
};

QTEST_APPLESS_MAIN(TestModelCard)
#include "test_model_card.moc"
