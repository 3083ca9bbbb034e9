//! Files that a page takes and gives.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::Page;

impl Page {
    /// Chooses a file in the field that matches, as its dialog would.
    ///
    /// # Errors
    /// When there is no such field.
    pub async fn choose_file(&mut self, selector: &str, file: &Path) -> Result<()> {
        let document = self.call("DOM.getDocument", json!({})).await?;
        let query = json!({ "nodeId": document["root"]["nodeId"], "selector": selector });
        let found = self.call("DOM.querySelector", query).await?;
        let files = json!({ "nodeId": found["nodeId"], "files": [file] });
        self.call("DOM.setFileInputFiles", files).await.map(drop)
    }

    /// Says into which folder the browser saves what it is given, each file under the name that comes with it.
    ///
    /// # Errors
    /// When Chromium does not answer.
    pub async fn save_into(&mut self, folder: &Path) -> Result<()> {
        let wish = json!({ "behavior": "allow", "downloadPath": folder });
        self.call("Page.setDownloadBehavior", wish).await.map(drop)
    }
}
