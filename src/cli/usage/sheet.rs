//! A table as a workbook of Office Open XML (`.xlsx`): one sheet, nothing that runs.
//! Rule: texts stand as texts in their cells and never as formulas, whatever they begin with.

use super::paper::escape;
use crate::archive;
use crate::error::{Error, Result, codes};

/// Rows that a sheet has at most, its head included.
const ROWS: usize = 1 << 20;
/// Characters of a cell at most.
const LONGEST: usize = 32_767;
/// Whole numbers that a cell holds exactly.
const EXACT: u64 = 1 << 53;

const TYPES: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>"#;
const RELATIONS: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
const BOOK: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="usage" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
const BOOK_RELATIONS: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#;

/// A sheet that is being filled.
pub struct Sheet {
    xml: String,
    rows: usize,
}

impl Sheet {
    pub fn new() -> Self {
        let xml = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>"#;
        Self { xml: xml.into(), rows: 0 }
    }

    /// Adds a row of texts, numbers and truths.
    pub fn row<'v>(&mut self, cells: impl Iterator<Item = &'v serde_json::Value>) -> Result<()> {
        if self.rows == ROWS {
            let message = format!("a sheet holds no more than {ROWS} rows");
            return Err(Error::new(&codes::VALUE_INVALID, message)
                .hint("ask for a shorter time (--period), or take --format csv"));
        }
        self.rows += 1;
        self.xml.push_str("<row>");
        cells.for_each(|value| self.cell(value));
        self.xml.push_str("</row>");
        Ok(())
    }

    fn cell(&mut self, value: &serde_json::Value) {
        match value {
            serde_json::Value::Number(number) if number.as_u64().is_some_and(|it| it <= EXACT) => {
                self.xml.push_str(&format!("<c><v>{number}</v></c>"));
            }
            serde_json::Value::Bool(truth) => {
                self.xml.push_str(&format!("<c t=\"b\"><v>{}</v></c>", u8::from(*truth)));
            }
            serde_json::Value::String(text) => self.text(text),
            serde_json::Value::Null => self.xml.push_str("<c/>"),
            other => self.text(&other.to_string()),
        }
    }

    fn text(&mut self, text: &str) {
        let text: String = text.chars().take(LONGEST).collect();
        let text = escape(&text);
        self.xml.push_str(&format!("<c t=\"inlineStr\"><is><t xml:space=\"preserve\">{text}</t></is></c>"));
    }

    /// The workbook.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        self.xml.push_str("</sheetData></worksheet>");
        archive::write(&[
            ("[Content_Types].xml", false, TYPES.as_bytes()),
            ("_rels/.rels", false, RELATIONS.as_bytes()),
            ("xl/workbook.xml", false, BOOK.as_bytes()),
            ("xl/_rels/workbook.xml.rels", false, BOOK_RELATIONS.as_bytes()),
            ("xl/worksheets/sheet1.xml", false, self.xml.as_bytes()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_texts_and_numbers_and_never_formulas() {
        let mut sheet = Sheet::new();
        let row = [json!("=1+1"), json!("<&\u{1}>"), json!(42), json!(u64::MAX), json!(true), json!(null)];
        sheet.row(row.iter()).unwrap();
        let cells = sheet.xml.split("<row>").nth(1).unwrap();
        let text =
            |text: &str| format!("<c t=\"inlineStr\"><is><t xml:space=\"preserve\">{text}</t></is></c>");
        let expected = [
            text("=1+1"),
            text("&lt;&amp;&gt;"),
            "<c><v>42</v></c>".into(),
            text("18446744073709551615"),
            "<c t=\"b\"><v>1</v></c><c/></row>".into(),
        ];
        assert_eq!(cells, expected.concat());
        let book = sheet.finish().unwrap();
        assert_eq!(archive::entries(&book).unwrap().len(), 5);
    }
}
